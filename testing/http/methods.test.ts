import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operations } from '../../src/api/routes.ts';
import { codeOf, openTestApp } from '../support/http-app.ts';

const ID = `b3:${'0'.repeat(64)}`;

function pathOf(template: string): string {
  return template
    .replace('{version}', '0')
    .replace('{kind}/{id}', 'service/a')
    .replace('{id}', ID)
    .replace('{level}', '0')
    .replace('{index}', '000.p/1')
    .replace('{from}', '0')
    .replace('{size}', '1')
    .replace('{name}', 'payload');
}

const app = await openTestApp();
const PATHS = Map.groupBy(operations(), ([, route]) => route.path);

test('a method that a path does not have is 405 with those it has', async () => {
  for (const [template, routes] of PATHS) {
    const methods = routes.map(([, route]) => route.method);
    const reads = methods.includes('get') ? ['GET', 'HEAD', 'OPTIONS'] : [];
    const writes = methods
      .filter((method) => method !== 'get')
      .map((method) => method.toUpperCase());
    const allow = [...reads, ...writes];
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND']) {
      if (allow.includes(method)) continue;
      const response = await app.send(pathOf(template), { method });
      assert.equal(await codeOf(response), 'method_not_allowed', `${method} ${template}`);
      assert.equal(response.headers.get('allow'), allow.join(', '));
    }
  }
});

test('every GET answers HEAD with the same status and headers', async () => {
  for (const [template, routes] of PATHS) {
    if (!routes.some(([, route]) => route.method === 'get')) continue;
    if (template === '/registry/stream') continue;
    const path = pathOf(template) + (/diff|entries/.test(template) ? '?from=0' : '');
    const [full, bare] = [await app.get(path), await app.head(path)];
    const headersOf = ({ headers }: Response) =>
      [...headers].filter(([name]) => name !== 'x-corr-id').sort();
    assert.equal(bare.status, full.status, template);
    const drop = ([name]: [string, string]) => full.status === 200 || name !== 'content-length';
    assert.deepEqual(headersOf(bare).filter(drop), headersOf(full).filter(drop), template);
    assert.ok(full.status !== 200 || bare.headers.has('content-length'), template);
  }
});

test('a path outside the contract is 404 for every method', async () => {
  for (const method of ['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS'])
    for (const path of [
      '/',
      '/registry',
      '/registry/',
      '/registry/head/',
      '/metrics',
      '/registry/x/y',
    ])
      assert.equal((await app.send(path, { method })).status, 404, `${method} ${path}`);
});

test('everybody may read: a preflight of a read grants it, for every readable path', async () => {
  for (const [template, routes] of PATHS) {
    const isReadable = routes.some(([, route]) => route.method === 'get');
    const response = await app.send(pathOf(template), {
      method: 'OPTIONS',
      headers: { origin: 'https://example.com', 'access-control-request-method': 'GET' },
    });
    assert.equal(response.status, isReadable ? 204 : 405, template);
    const origin = response.headers.get('access-control-allow-origin');
    assert.equal(origin, isReadable ? '*' : null);
    if (!isReadable) continue;
    assert.equal(response.headers.get('access-control-allow-methods'), 'GET, HEAD');
    const allowed = response.headers.get('access-control-allow-headers') ?? '';
    for (const name of ['If-None-Match', 'Last-Event-ID', 'X-Corr-ID'])
      assert.ok(allowed.includes(name), name);
  }
});

test('nobody may write from elsewhere: a preflight of a write grants nothing', async () => {
  for (const path of ['/registry/proposals', '/registry/supersede', `/registry/commit/${ID}`]) {
    const response = await app.send(path, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://example.com',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type',
      },
    });
    const granted = [...response.headers.keys()].filter((n) => n.startsWith('access-control'));
    assert.deepEqual(granted, [], path);
  }
});

test('an answer to a read shows a page what it needs: tag, version, correlation, when to retry', async () => {
  const { headers } = await app.get('/registry/head');
  const exposed = headers.get('access-control-expose-headers') ?? '';
  for (const name of ['ETag', 'X-Corr-ID', 'Content-Location', 'Retry-After'])
    assert.ok(exposed.includes(name), name);
});
