/** Lists of snapshots in places where others remove them at the same moment. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { RegistryError } from '../../../src/core/error.ts';
import { listSnapshots } from '../../../src/server/snapshot/catalogue.ts';
import { createDirectoryPlace } from '../../../src/server/snapshot/directory-place.ts';
import { snapshotName } from '../../../src/server/snapshot/header.ts';
import { openFilesIn } from '../../support/open-files.ts';
import { until } from '../../support/operator.ts';
import { openTestRegistry, put } from '../../support/registry.ts';
import { packTest } from '../../support/snapshot.ts';
import { makeDirectory, openStore } from '../../support/store-sqlite.ts';

/** A directory with snapshots of versions 0 and 1. */
async function makePlace(t: TestContext) {
  const path = join(makeDirectory(), 'registry.db');
  const real = await openTestRegistry({ store: await openStore(t, path) });
  const directory = makeDirectory();
  const names: string[] = [];
  const pack = async () => {
    const { id, header, path: packed } = await packTest(path);
    const name = snapshotName({ version: header.version, id });
    writeFileSync(join(directory, name), readFileSync(packed));
    names.push(name);
  };
  await pack();
  await real.change(put('a', {}));
  await real.store.compact({ expiredBefore: '2020-01-01T00:00:00.000Z' });
  await pack();
  await real.registry[Symbol.asyncDispose]();
  const [older = '', newer = ''] = names;
  return { directory, older, newer };
}

test('a snapshot that is removed after it was named and before it is read is left out of the list', async (t) => {
  const { directory, older, newer } = await makePlace(t);
  const place = createDirectoryPlace(directory);
  assert.deepEqual(
    (await listSnapshots(place)).map(({ name }) => name),
    [newer, older],
  );
  const removing: typeof place = {
    ...place,
    list: async () => {
      const files = await place.list();
      assert.equal(files.length, 2);
      rmSync(join(directory, newer));
      return files;
    },
  };
  assert.deepEqual(
    (await listSnapshots(removing)).map(({ name }) => name),
    [older],
  );
});

test('a name that leads nowhere is no reason to list nothing', async (t) => {
  const { directory, older, newer } = await makePlace(t);
  const gone = snapshotName({ version: 9, id: `b3:${'9'.repeat(64)}` });
  symlinkSync(join(directory, 'nothing'), join(directory, gone));
  const listed = await listSnapshots(createDirectoryPlace(directory));
  assert.deepEqual(
    listed.map(({ name }) => name),
    [newer, older],
  );
});

test('a place that cannot be read is told, and not taken for one without snapshots', async (t) => {
  const { directory } = await makePlace(t);
  const place = createDirectoryPlace(directory);
  const refusal = new RegistryError('unavailable', 'expected an answer, got none');
  const refusing = { ...place, read: async () => Promise.reject(refusal) };
  await assert.rejects(listSnapshots(refusing), refusal);
});

test('a list leaves no file open', async (t) => {
  if (process.platform !== 'linux') return t.skip('SKIPPED, NOT PASSED: /proc is of linux');
  const { directory, newer } = await makePlace(t);
  const place = createDirectoryPlace(directory);
  let seen = 0;
  const watching: typeof place = {
    ...place,
    read: async (name, options) => {
      const chunks = await place.read(name, options);
      return (async function* () {
        for await (const chunk of chunks) {
          seen = Math.max(seen, openFilesIn(directory));
          yield chunk;
        }
      })();
    },
  };
  writeFileSync(join(directory, '9-0123456789abcdef.qsnap'), readFileSync(join(directory, newer)));
  for (let i = 0; i < 5; i++) assert.equal((await listSnapshots(watching)).length, 3);
  assert.ok(seen > 0, 'none was seen open');
  await until(() => openFilesIn(directory) === 0);
});
