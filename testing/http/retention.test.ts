/** What HTTP says of what a registry has let go of. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operations } from '../../src/api/routes.ts';
import { openTestApp, type TestApp } from '../support/http-app.ts';
import { put, remove } from '../support/registry.ts';
import { erasePayload } from '../support/signers.ts';

/** Versions 1 to 3: `a` is put, replaced and removed. */
async function openChanged(): Promise<TestApp> {
  const app = await openTestApp({ registry: { archive: 'https://mirror.example' } });
  await app.change(put('a', { n: 1 }));
  await app.change(put('a', { n: 2 }, { n: 1 }));
  await app.change(remove('a', { n: 2 }));
  return app;
}

async function erase(app: TestApp, version: number): Promise<void> {
  const entry = await app.store.entry(version);
  assert.ok(entry);
  await app.commit(erasePayload(app.registryHash, { version, erases: entry.entryHash }));
}

async function problemAt(app: TestApp, path: string) {
  const answer = await app.get(path);
  assert.equal(answer.status, 410, path);
  const { code, details } = await answer.json();
  assert.ok(declaredAt(path).includes(code), `${code} is none of the errors of ${path}`);
  return { code, details };
}

/** The errors that the contract gives the route beside those of any. */
function declaredAt(path: string): readonly string[] {
  const [pathname = ''] = path.split('?');
  const route = operations()
    .map(([, each]) => each)
    .find(
      (each) =>
        each.method === 'get' &&
        new RegExp(`^${each.path.replace(/\{[a-z]+\}/g, '[^/]+')}$`).test(pathname),
    );
  return route?.errors ?? assert.fail(`expected a route for ${path}`);
}

test('it says from which version on the log is kept whole', async () => {
  const app = await openChanged();
  const first = await app.get('/registry/retention');
  assert.equal(first.status, 200);
  const { origin, registry } = app.registry.head()?.object ?? {};
  const archive = 'https://mirror.example';
  assert.deepEqual(await first.json(), { archive, oldest: 0, origin, registry, version: 3 });
  await app.registry.prune(2);
  const etag = first.headers.get('ETag') ?? '';
  const second = await app.get('/registry/retention', { 'If-None-Match': etag });
  assert.equal(second.status, 200);
  assert.equal((await second.json()).oldest, 2);
});

test('before genesis there is nothing to keep', async () => {
  const app = await openTestApp({ registry: { isBegun: false } });
  assert.equal((await app.get('/registry/retention')).status, 404);
});

test('every read below the oldest version is 410 and says where to look', async () => {
  const app = await openChanged();
  // Ready answers are what a pruning must not leave behind.
  for (const path of ['/registry/1', '/registry/1/set'])
    assert.equal((await app.get(path)).status, 200);
  await app.registry.prune(2);
  const details = { version: 1, oldest: 2, archive: 'https://mirror.example' };
  for (const path of [
    '/registry/1',
    '/registry/1/set',
    '/registry/1/set/hashes',
    '/registry/1/descriptors/service/a',
    '/registry/1/descriptors/service/a?proof=1',
    '/registry/diff?from=1&to=3',
    '/registry/diff?from=3&to=1',
    '/registry/entries?from=1',
  ])
    assert.deepEqual(await problemAt(app, path), { code: 'pruned', details }, path);
  for (const path of [
    '/registry/0',
    '/registry/1/governance',
    '/registry/proof/inclusion/1',
    '/registry/1/tlog-proof',
    '/tile/entries/000.p/4',
    '/registry/2/set',
    '/registry/history/service/a',
  ])
    assert.equal((await app.get(path)).status, 200, path);
});

test('an erased entry is 410, a null payload among the entries, and a null value in a history', async () => {
  const app = await openChanged();
  for (const path of ['/registry/2', '/registry/2/set'])
    assert.equal((await app.get(path)).status, 200);
  await erase(app, 2);
  assert.deepEqual(await problemAt(app, '/registry/2'), {
    code: 'erased',
    details: { version: 2, erased_by: 4 },
  });
  const lost = { code: 'erased', details: { version: 2, erased_by: 4, next: 3 } };
  assert.deepEqual(await problemAt(app, '/registry/2/set'), lost);
  assert.deepEqual(await problemAt(app, '/registry/2/descriptors/service/a'), lost);
  const lines = (await (await app.get('/registry/entries?from=1&limit=3')).text()).split('\n');
  const entries = lines.slice(0, 3).map((line) => JSON.parse(line));
  assert.deepEqual(
    entries.map(({ payload }) => payload?.type ?? null),
    ['descriptors', null, 'descriptors'],
  );
  assert.equal(entries[1]?.approvals.length, 2);
  const { items } = await (await app.get('/registry/history/service/a')).json();
  assert.deepEqual(
    items.map(({ descriptor, set_version }: { descriptor: unknown; set_version: number }) => [
      set_version,
      descriptor === null,
    ]),
    [
      [2, true],
      [1, false],
    ],
  );
  assert.equal((await app.get('/registry/3/set')).status, 200);
  assert.equal((await app.get('/registry/2/tlog-proof')).status, 200);
});

test('who has what was erased is told so, and not that it has not changed', async () => {
  const app = await openChanged();
  const [whole, refused, changed] = [
    ['/registry/3/set', '/registry/2/set/hashes', '/registry/diff?from=1&to=3'],
    ['/registry/2', '/registry/2/set', '/registry/2/descriptors/service/a']
      .concat('/registry/2/descriptors/service/a?proof=1')
      .concat('/registry/diff?from=1&to=2', '/registry/diff?from=2&to=3'),
    ['/registry/entries?from=1&limit=2', '/registry/entries?from=2&limit=2'],
  ];
  const same = ['/registry/diff?from=2&to=2', '/registry/entries?from=3&limit=1', ...whole];
  const tags = new Map<string, string>();
  for (const path of [...same, ...refused, ...changed])
    tags.set(path, (await app.get(path)).headers.get('ETag') ?? '');
  const again = (path: string, coding = 'identity') =>
    app.get(path, { 'If-None-Match': tags.get(path) ?? '', 'Accept-Encoding': coding });
  for (const path of tags.keys()) assert.equal((await again(path)).status, 304, path);
  await erase(app, 2);
  for (const path of same) assert.equal((await again(path)).status, 304, path);
  for (const path of refused) assert.equal((await again(path)).status, 410, path);
  for (const path of changed) {
    const answer = await again(path);
    assert.equal(answer.status, 200, path);
    assert.match(await answer.text(), /"payload":null/);
    assert.notEqual(answer.headers.get('ETag'), tags.get(path));
    tags.set(path, answer.headers.get('ETag') ?? '');
    assert.equal((await again(path)).status, 304, path);
  }
  const any = { 'If-None-Match': '*' };
  assert.equal(
    (await app.get('/registry/2/set', { ...any, 'Accept-Encoding': 'gzip' })).status,
    410,
  );
});

test('a history without what was pruned is another one', async () => {
  const app = await openChanged();
  const path = '/registry/history/service/a';
  const etag = (await app.get(path)).headers.get('ETag') ?? '';
  const again = () => app.get(path, { 'If-None-Match': etag });
  assert.equal((await again()).status, 304);
  await app.registry.prune(2);
  const { items } = await (await again()).json();
  assert.deepEqual(
    items.map(({ set_version }: { set_version: number }) => set_version),
    [2],
  );
});

test('a proposal of an erased payload is gone too', async () => {
  const app = await openChanged();
  const [id] = [(await app.registry.reader.leaf(2))?.payload_b3];
  await erase(app, 2);
  assert.equal((await problemAt(app, `/registry/proposals/${id}`)).code, 'erased');
  assert.equal((await problemAt(app, `/registry/proposals/${id}/payload`)).code, 'erased');
});

test('a prepared set that has lost a value is not asked for, and what is held is let go of', async () => {
  const asked: number[] = [];
  let erased = 0;
  const preparedSets = {
    open: async ({ version }: { readonly version: number }) => void asked.push(version),
  };
  const app = await openTestApp({
    registry: { onLetGo: () => erased++ },
    deps: { preparedSets },
  });
  const puts = Array.from({ length: 5_000 }, (_, i) => put(`d${i}`, { i }));
  await app.change(...puts);
  await app.change(put('d0', { v: 2 }, { i: 0 }), put('once', { v: 1 }));
  await app.change(remove('once', { v: 1 }), put('d0', { v: 3 }, { v: 2 }));
  assert.equal((await app.get('/registry/2/set')).status, 200);
  await erase(app, 2);
  assert.equal((await app.get('/registry/1/set')).status, 200);
  assert.equal((await app.get('/registry/2/set')).status, 410);
  assert.equal((await app.get('/registry/3/set')).status, 200);
  assert.deepEqual([asked, erased], [[2, 1, 3], 1]);
});
