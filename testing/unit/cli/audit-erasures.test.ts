/** An audit knows every entry before: it holds each erasure against what stands there, and misses each payload that none accounts for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Replay, type ReplaySource } from '../../../src/cli/audit-replay.ts';
import type { Appended } from '../../../src/core/chain.ts';
import { createNativeVerifier } from '../../../src/server/native-verifier.ts';
import { erasedLog } from '../../support/core-erase-vectors.ts';
import {
  ALICE,
  append,
  BOB,
  eraseMembers,
  type PayloadMembers,
} from '../../support/core-registry.ts';

const LOG = erasedLog();

function replayOf(log: readonly Appended[]): Replay {
  const verifier = createNativeVerifier();
  const source: ReplaySource = {
    setBefore: async ({ version }) => log[version]?.chain.set ?? assert.fail(),
    leafAt: async (version) => log[version]?.entry.leaf ?? assert.fail(),
  };
  const options = { verifier, verifySignatures: async () => -1, registry: undefined };
  return new Replay(options, source);
}

function entriesOf(log: readonly Appended[], erased: readonly number[]) {
  return log.map(({ entry }, version) =>
    erased.includes(version) ? { ...entry, payload: null } : entry,
  );
}

test('a log is replayed without the payloads that were erased', async () => {
  const replay = replayOf(LOG);
  const replayed = await replay.add(entriesOf(LOG, [1, 2]));
  assert.deepEqual(
    replayed.map(({ kind }) => kind === 'erased'),
    LOG.map((_, version) => version === 1 || version === 2),
  );
  assert.equal(replay.chain?.entryHash, LOG.at(-1)?.chain.entryHash);
  const { found } = await replay.end();
  assert.deepEqual(found, [
    [1, 4],
    [2, 6],
  ]);
});

test('a payload that no entry erases is missed at the end', async () => {
  const replay = replayOf(LOG);
  await replay.add(entriesOf(LOG, [1, 2, 3]));
  await assert.rejects(replay.end(), { code: 'invalid_entry', message: /^entry 3: / });
});

test('an erasure of something else, of governance, or of the same again is refused', async () => {
  const last = LOG.at(-1)!.chain;
  const at = (version: number) => LOG[version]!.chain;
  const wrong: readonly PayloadMembers[] = [
    eraseMembers(at(3), { erases: at(1).entryHash }),
    eraseMembers(at(5)),
    eraseMembers(at(6)),
    eraseMembers(at(1), { note: 'again' }),
  ];
  for (const members of wrong) {
    const log = [...LOG, append(last, members, [ALICE, BOB])];
    const replay = replayOf(log);
    await assert.rejects(replay.add(entriesOf(log, [1, 2])), {
      code: 'fence_broken',
      message: /^entry 8: /,
    });
  }
});
