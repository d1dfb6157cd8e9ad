/**
 * The campaign of lies: every kind of lie that a server, a mirror or a thief of its log key can tell,
 * at random places of one history. Each is caught with its own code, and nothing of it is believed.
 */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { memoryTrust } from '../../src/client/memory-trust.ts';
import { RegistryError } from '../../src/core/error.ts';
import { decodeEvidence, judgeEvidence } from '../../src/core/tlog/evidence.ts';
import { parseLogKeys } from '../../src/core/vkey.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import {
  DEMANDS,
  type History,
  type LieRow,
  NEWEST,
  NOW_SECONDS,
  openHistory,
  placeIn,
  WITNESSES,
} from '../support/client-campaign.ts';
import { ENTRY_LIES, PRESENT, READ_LIES, STREAM_LIES } from '../support/client-entry-lies.ts';
import { CHECKPOINT_LIES, PAST_LIES, WITNESS_LIES } from '../support/client-lie-rows.ts';
import { alteredNote, at, plain } from '../support/client-lies.ts';
import { errorOf, openClient } from '../support/client-server.ts';
import { withSignatures } from '../support/client-tree.ts';
import { makeRandom } from '../support/random.ts';

const PLACES = process.env.QUORATE_TEST_LONG === '1' ? 1_000 : 40;
const seed = Number(process.env.QUORATE_TEST_SEED ?? Date.now() % 2 ** 31);

const ROWS: readonly LieRow[] = [
  ...CHECKPOINT_LIES,
  ...WITNESS_LIES,
  ...ENTRY_LIES,
  ...PAST_LIES,
  ...READ_LIES,
  ...STREAM_LIES,
];

let history: History;

before(async () => {
  history = await openHistory();
});

/** With its code, the trusted text unmoved, and a fork with evidence that others can check. */
async function caught(row: LieRow, random: () => number): Promise<void> {
  const place = placeIn(history, random, row.isCaughtUp);
  const trust = memoryTrust(history.texts[place.trusted]);
  const evidence: string[] = [];
  const onFork = (text: string) => void evidence.push(text);
  const { client } = openClient(history.stage, { trust, onFork, ...row.options });
  history.stage.lie(row.tell(place));
  const ask = row.ask ?? (() => client.head());
  const error = await errorOf(ask(client, place));
  const where = `seed ${seed}, trusted ${place.trusted}, at ${place.at}, past ${place.past}`;
  assert.ok(error instanceof RegistryError, `${where}: believed, or ${String(error)}`);
  assert.equal(error.code, row.code, `${where}: ${error.message}`);
  assert.equal(await trust.load(), history.texts[place.trusted], where);
  assert.equal(client.trusted()?.version, place.trusted, where);
  assert.equal(evidence.length, row.code === 'fork' ? 1 : 0, where);
  for (const text of evidence) {
    const keys = parseLogKeys(history.stage.governance.log_keys);
    const verdict = await judgeEvidence(decodeEvidence(text), keys, createNativeVerifier());
    assert.ok(verdict.isProven, `${where}: ${verdict.reason}`);
  }
}

for (const [i, row] of ROWS.entries())
  test(`${row.lie} is ${row.code} wherever it is told`, async (t) => {
    t.diagnostic(`seed ${seed}`);
    const random = makeRandom(seed + i);
    for (let n = 0; n < PLACES; n++) await caught(row, random);
  });

test('the table has lies enough, each once', () => {
  const lies = ROWS.map(({ lie }) => lie);
  assert.ok(lies.length >= 25);
  assert.equal(new Set(lies).size, lies.length);
});

test('entries beyond the size of the checkpoint are not believed', async () => {
  for (let trusted = 0; trusted < NEWEST; trusted++) {
    const trust = memoryTrust(history.texts[trusted]);
    const { client } = openClient(history.stage, { trust });
    history.stage.lie(
      at('/checkpoint', async () => plain(await history.view.note({ size: trusted + 2 }))),
    );
    assert.equal((await client.head()).version, trusted + 1);
    assert.equal(client.trusted()?.version, trusted + 1);
  }
});

test('the truth is believed from every version on, with witnesses and without', async () => {
  for (let trusted = 0; trusted < NEWEST; trusted++)
    for (const options of [{}, DEMANDS]) {
      const trust = memoryTrust(history.texts[trusted]);
      const { client } = openClient(history.stage, { trust, ...options });
      history.stage.lie(
        alteredNote((note) => {
          const text = note.slice(0, note.lastIndexOf('\n\n') + 1);
          const [one, , two] = WITNESSES.map((witness) => witness.cosign(text, NOW_SECONDS - 600));
          return withSignatures(note, one && two ? [one, two] : []);
        }),
      );
      assert.equal((await client.head()).version, NEWEST);
      assert.equal((await client.set()).items.length, PRESENT.length);
    }
});
