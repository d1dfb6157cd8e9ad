/** The IANA example on the real data: what it declares, and that every part fits a payload. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { descriptorsOf, partsOf } from '../../../examples/iana/media-types.ts';
import { canonicalBytes } from '../../../src/core/canonical.ts';
import { compareKeys, MAX_PAYLOAD_BYTES } from '../../../src/core/payload.ts';
import { openTestRegistry } from '../../support/registry.ts';
import { descriptorsPayload } from '../../support/signers.ts';

const DATABASE = join(import.meta.dirname, '../../../node_modules/mime-db/db.json');
const descriptors = descriptorsOf(JSON.parse(readFileSync(DATABASE, 'utf8')));

test('IANA has some 2,000 media types, and servers have more', () => {
  assert.ok(descriptors.length > 2_000);
  const some = descriptorsOf({
    'x/iana': { source: 'iana', extensions: ['x'] },
    'x/made-up': { source: 'nginx' },
  });
  assert.deepEqual(some, [{ kind: 'media-type', id: 'x/iana', spec: { extensions: ['x'] } }]);
});

test('parts hold every descriptor once, in order, and each fits a payload', async () => {
  const maxBytes = 64 * 1024;
  const parts = partsOf(descriptors, maxBytes);
  assert.ok(parts.length > 2);
  assert.deepEqual(parts.flat(), descriptors);
  const registry = `b3:${'0'.repeat(64)}` as const;
  for (const part of parts) {
    const changes = part.map((item) => ({ ...item, op: 'put' as const, replaces: registry }));
    const note = '\u{1d11e}'.repeat(1024);
    const bytes = descriptorsPayload(registry, changes, { note, origin: 'x'.repeat(255) }).bytes
      .length;
    assert.ok(bytes <= maxBytes, `${bytes}`);
  }
  assert.equal(
    partsOf(descriptors).length,
    Math.ceil(canonicalBytes(descriptors).length / MAX_PAYLOAD_BYTES),
  );
});

test('the whole set can be registered', async () => {
  await using registry = await disposable();
  for (const part of partsOf(descriptors, 128 * 1024))
    await registry.test.change(
      ...part.map((item) => ({ ...item, op: 'put' as const, replaces: null })),
    );
  const head = registry.test.registry.head()?.object;
  assert.equal(head?.set_size, descriptors.length);
  assert.deepEqual([...descriptors].sort(compareKeys), descriptors);
});

async function disposable() {
  const test = await openTestRegistry();
  return { test, [Symbol.asyncDispose]: () => test.registry[Symbol.asyncDispose]() };
}
