/** What a whole server lets go of: pruned by an operator or a policy under a snapshot, erased by its signers. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Change } from '../../src/core/payload.ts';
import { runCli } from '../support/cli-io.ts';
import { put, remove } from '../support/registry.ts';
import {
  beginOver,
  clientOf,
  commitOver,
  makeDataDir,
  startTestServer,
  type TestServer,
} from '../support/server-start.ts';
import { descriptorsPayload, erasePayload } from '../support/signers.ts';

const SECRET = 'a name that is to be forgotten';

interface Stage {
  readonly data: string;
  readonly server: TestServer;
  readonly change: (...changes: Change[]) => Promise<void>;
  readonly erase: (version: number) => Promise<void>;
  /** Its exit code and what it answered. */
  readonly prune: (...options: string[]) => Promise<Record<string, unknown>>;
}

/** Versions 1 to 3: `a` is put with the secret, replaced and removed. */
async function openChanged(
  t: TestContext,
  settings: Readonly<Record<string, string>> = {},
): Promise<Stage> {
  const data = settings.data ?? makeDataDir();
  const server = await startTestServer(t, { profile: 'macronode', data, ...settings });
  const client = clientOf(server.url);
  const registry = await beginOver(client);
  let count = 0;
  const change = async (...changes: Change[]): Promise<void> => {
    const note = `${count++}`;
    await commitOver(
      client,
      descriptorsPayload(registry, changes, { createdAt: Date.now(), note }),
    );
  };
  await change(put('a', { name: SECRET }));
  await change(put('a', { n: 2 }, { name: SECRET }));
  await change(remove('a', { n: 2 }));
  const erase = async (version: number): Promise<void> => {
    const { leaf } = await (await fetch(`${server.url}/registry/${version + 1}`)).json();
    const target = { version, erases: leaf.prev_hash };
    await commitOver(client, erasePayload(registry, target, { createdAt: Date.now() }));
  };
  const prune = async (...options: string[]): Promise<Record<string, unknown>> => {
    const socket = join(data, 'operator.sock');
    const run = await runCli(['--json', 'operator', 'prune', '--socket', socket, ...options]);
    assert.equal(run.code, 0, run.stderr);
    const [answer] = run.json();
    return answer ?? {};
  };
  return { data, server, change, erase, prune };
}

/** Files under a directory that hold a text, by name. */
function filesWith(directory: string, text: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path).includes(text));
}

async function codeAt({ url }: TestServer, path: string): Promise<readonly [number, unknown]> {
  const answer = await fetch(`${url}${path}`);
  return [answer.status, answer.ok ? null : (await answer.json()).code];
}

test('an operator prunes what a new snapshot holds, and it stays pruned after a restart', async (t) => {
  const { data, server, prune } = await openChanged(t, { archive: 'over there' });
  const { before, oldest, snapshot } = await prune('--oldest', '3', '--reason', 'a test');
  assert.deepEqual([before, oldest], [0, 3]);
  assert.deepEqual(readdirSync(join(data, 'snapshots')), [snapshot]);
  assert.deepEqual(await codeAt(server, '/registry/1'), [410, 'pruned']);
  assert.equal((await prune('--oldest', '2')).oldest, 3);
  await server.stop();
  const again = await startTestServer(t, { profile: 'macronode', data });
  assert.deepEqual(await codeAt(again, '/registry/2/set'), [410, 'pruned']);
  assert.deepEqual(await codeAt(again, '/registry/3/set'), [200, null]);
  assert.deepEqual(await codeAt(again, '/registry/0'), [200, null]);
});

test('a snapshot that a disk has changed covers nothing: another one is made', async (t) => {
  const { data, prune, change } = await openChanged(t);
  const { snapshot: first } = await prune('--oldest', '1');
  const path = join(data, 'snapshots', String(first));
  const bytes = readFileSync(path);
  bytes[bytes.length - 40] = (bytes[bytes.length - 40] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  // Without another version a new snapshot would be of the same name.
  await change(put('b', {}));
  const { snapshot: second } = await prune('--oldest', '2');
  assert.notEqual(second, first);
  assert.equal(readdirSync(join(data, 'snapshots')).length, 2);
});

test('a later snapshot lacks what was pruned, so both together are the archive', async (t) => {
  const { data, prune, change } = await openChanged(t);
  await prune('--oldest', '2');
  await change(put('b', {}));
  await change(put('c', {}));
  const { snapshot } = await prune('--oldest', '5');
  const listed = await runCli(['--json', 'snapshot', 'list', join(data, 'snapshots')]);
  assert.equal(listed.code, 0, listed.stderr);
  const headers = JSON.stringify(listed.json());
  assert.match(headers, /"oldest":0/);
  assert.match(headers, /"oldest":2/);
  const file = join(data, 'snapshots', String(snapshot));
  const refused = await runCli(['snapshot', 'verify', file]);
  assert.match(refused.stderr, /pruned.*--accept-pruned/s);
  const verified = await runCli(['snapshot', 'verify', file, '--accept-pruned']);
  assert.equal(verified.code, 0, verified.stderr);
});

test('more than is there is refused, and a micronode has nothing to prune', async (t) => {
  const { data } = await openChanged(t);
  const socket = join(data, 'operator.sock');
  const run = await runCli(['operator', 'prune', '--socket', socket, '--oldest', '9']);
  assert.notEqual(run.code, 0);
  assert.match(run.stderr, /a signed checkpoint covers/);
});

test('what its signers erased is in no file of the data directory, and in no later snapshot', async (t) => {
  const { data, server, erase, change } = await openChanged(t);
  assert.notDeepEqual(filesWith(data, SECRET), []);
  assert.notDeepEqual(filesWith(await restoredSnapshot(data), SECRET), []);
  await erase(1);
  // The write-ahead log is emptied after the answer, before the next write.
  await change(put('b', {}));
  assert.deepEqual(filesWith(data, SECRET), []);
  assert.deepEqual(await codeAt(server, '/registry/1'), [410, 'erased']);
  assert.deepEqual(await codeAt(server, '/registry/1/set'), [410, 'erased']);
  assert.deepEqual(await codeAt(server, '/registry/2/set'), [200, null]);
  assert.deepEqual(filesWith(await restoredSnapshot(data), SECRET), []);
  await server.stop();
  const again = await startTestServer(t, { profile: 'macronode', data });
  assert.deepEqual(await codeAt(again, '/registry/1'), [410, 'erased']);
});

/** The directory into which a new snapshot was restored. */
async function restoredSnapshot(data: string): Promise<string> {
  const socket = join(data, 'operator.sock');
  const made = await runCli(['--json', 'operator', 'snapshot', '--socket', socket]);
  assert.equal(made.code, 0, made.stderr);
  const file = join(data, 'snapshots', String(made.json()[0]?.file));
  const to = join(makeDataDir(), 'restored');
  const unpinned = ['--any-registry', '--accept-rollback'];
  const restored = await runCli(['snapshot', 'restore', file, '--data', to, ...unpinned]);
  assert.equal(restored.code, 0, restored.stderr);
  return to;
}
