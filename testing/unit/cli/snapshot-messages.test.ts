/** What a person reads when a snapshot cannot be used: what was expected, what came, and what to do about that. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { before, test } from 'node:test';
import { openSqliteStore } from '../../../src/store/sqlite.ts';
import { runCli } from '../../support/cli-io.ts';
import { keepCheckpoint, openTestRegistry, put } from '../../support/registry.ts';
import { packTest, withHeader, written } from '../../support/snapshot.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';

const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };

let path: string;
let registry: string;
let note: string;

before(async () => {
  const database = join(makeDirectory(), 'registry.db');
  const real = await openTestRegistry({
    store: await openSqliteStore({ ...IDLE, path: database }),
  });
  await real.change(put('a', {}));
  await keepCheckpoint(real);
  registry = real.registryHash;
  note = real.registry.checkpoint()?.note ?? '';
  await real.registry[Symbol.asyncDispose]();
  path = (await packTest(database)).path;
});

async function restore(from: string, ...options: readonly string[]) {
  const data = join(makeDirectory(), 'data');
  const state = join(makeDirectory(), 'state');
  const argv = ['snapshot', 'restore', from, '--data', data, '--state', state];
  return await runCli([...argv, '--registry', registry, ...options], {
    fetch: async () => {
      throw new TypeError('nobody there');
    },
  });
}

function noted(text: string = note): readonly string[] {
  return ['--checkpoint', written(Buffer.from(text))];
}

/** One line: nothing is added of a registry that nobody asked. */
function assertSays(stderr: string, message: RegExp): void {
  assert.match(stderr, message);
  assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
}

test('what is wrong with a snapshot is no matter of a registry that runs', async () => {
  const whole = readFileSync(path);
  const cases: readonly (readonly [string, RegExp])[] = [
    [
      written(whole.subarray(0, -9)),
      /the end is missing: .*take another copy or another snapshot$/m,
    ],
    [
      written(new Uint8Array(99)),
      /expected a snapshot with a header line, got 99 bytes.*take another/,
    ],
    [
      withHeader(path, { set_size: 77 }),
      /in the snapshot: expected .* whose setSize is "77", got one of "1"; take another copy of it/,
    ],
    [
      withHeader(path, { created_at: undefined }),
      /in the header of the snapshot: expected a member at \/created_at, got undefined: take another copy/,
    ],
    [
      withHeader(path, { entry_hash: 'b3:' }),
      /in the header of the snapshot: expected b3: and .* at \/entry_hash, got "b3:": take another copy/,
    ],
    [
      withHeader(path, { format: 'quorate/bundle/v1' }),
      /in the header of the snapshot: expected a snapshot of format .* got "quorate\/bundle\/v1": take/,
    ],
    [
      written(Buffer.concat([whole.subarray(1, whole.indexOf(0x0a) + 1), new Uint8Array(9)])),
      /begins with a header line, got \d+ bytes that are none: is it a snapshot at all\? take another/,
    ],
  ];
  for (const [file, message] of cases) {
    assertSays((await restore(file, ...noted())).stderr, message);
    const verified = await runCli(['snapshot', 'verify', file, '--scratch', makeDirectory()]);
    assertSays(verified.stderr, message);
  }
});

test('what is behind says how to catch up, and not that somebody lies', async () => {
  const ahead = note.replace(/\n2\n/, '\n9\n');
  assert.notEqual(ahead, note);
  const { code, stderr } = await restore(path, ...noted(ahead));
  assert.equal(code, 3);
  assertSays(stderr, /it is 7 entries behind; restore a newer one, or append .* --catch-up URL$/m);
});

test('of those who were to say how far the log went, it is named who did not', async () => {
  const url = 'http://replica.example';
  const silent = await restore(path, '--from', url);
  assertSays(silent.stderr, /the service at http:\/\/replica\.example: expected an answer to /);
  const file = written(Buffer.from('{}'));
  assertSays(
    (await restore(path, '--checkpoint', file)).stderr,
    /the checkpoint in .*other\.qsnap: expected a c2sp signed note, got /,
  );
  assertSays(
    (await restore(path, '--high-water', file)).stderr,
    /the high-water mark .*other\.qsnap: expected /,
  );
});

test('a pipe is a file like any other', async () => {
  const pipe = join(makeDirectory(), 'pipe');
  execFileSync('mkfifo', [pipe]);
  const [{ code, stderr }] = await Promise.all([
    restore(pipe, ...noted()),
    pipeline(Readable.from([readFileSync(path)]), createWriteStream(pipe)),
  ]);
  assert.equal(code, 0, stderr);
});
