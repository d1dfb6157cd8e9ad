import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { test } from 'node:test';
import { createLog } from '../../../src/server/log.ts';
import { openTracer } from '../../../src/server/tracing/open.ts';
import { TRACING_PACKAGES } from '../../../src/server/tracing/packages.ts';
import { NO_TRACER } from '../../../src/telemetry/tracer.ts';

const parts = {
  log: createLog({ level: 'silent' }),
  service: { name: 'quorate', version: '1' },
  env: {},
};
const ENDPOINT = 'http://127.0.0.1:9/v1/traces';

/** While they last, no OpenTelemetry package is installed; or only one that exports nothing. */
function hideOpenTelemetry(shown?: { readonly instead: string }) {
  const asked: string[] = [];
  const hooks = registerHooks({
    resolve: (specifier, context, next) => {
      if (!specifier.startsWith('@opentelemetry/')) return next(specifier, context);
      asked.push(specifier);
      if (shown !== undefined) return { url: shown.instead, shortCircuit: true };
      const missing = new Error(`Cannot find package '${specifier}'`);
      throw Object.assign(missing, { code: 'ERR_MODULE_NOT_FOUND' });
    },
  });
  return { asked, [Symbol.dispose]: () => hooks.deregister() };
}

test('without the optional packages, a server without tracing does not ask for them', async () => {
  using hidden = hideOpenTelemetry();
  assert.equal(await openTracer(null, parts), NO_TRACER);
  assert.deepEqual(hidden.asked, []);
});

test('without the optional packages, tracing stops the start and says what to install', async () => {
  using hidden = hideOpenTelemetry();
  await assert.rejects(openTracer(ENDPOINT, parts), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'invalid_request');
    assert.match(error.message, /^expected the optional OpenTelemetry packages, .* got not all/);
    for (const [name, range] of Object.entries(TRACING_PACKAGES))
      assert.ok(error.message.includes(` "${name}@${range}"`));
    return true;
  });
  assert.ok(hidden.asked.includes('@opentelemetry/sdk-trace'));
});

test('with packages of other versions, tracing stops the start in the same way', async () => {
  using hidden = hideOpenTelemetry({ instead: 'data:text/javascript,export const BasicTracer=1' });
  await assert.rejects(openTracer(ENDPOINT, parts), {
    code: 'invalid_request',
    message: /got other versions: `npm install "@opentelemetry/,
  });
  assert.ok(hidden.asked.length > 0);
});

test('what is to be installed are the optional peers of the package', () => {
  const manifest: {
    readonly peerDependencies: Record<string, string>;
    readonly peerDependenciesMeta: Record<string, { readonly optional: boolean }>;
  } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
  for (const [name, range] of Object.entries(TRACING_PACKAGES)) {
    assert.equal(manifest.peerDependencies[name], range);
    assert.equal(manifest.peerDependenciesMeta[name]?.optional, true);
  }
});
