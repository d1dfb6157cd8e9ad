/** verify.py and core agree about a genesis that goes on from another log, and about who must approve it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeApprovals } from '../../src/core/approval.ts';
import { decodeUtf8, encodeUtf8 } from '../../src/core/bytes.ts';
import { canonicalText } from '../../src/core/canonical.ts';
import { verifyEntry } from '../../src/core/chain.ts';
import { RegistryError } from '../../src/core/error.ts';
import { hashOf } from '../../src/core/hash.ts';
import { type EntryBytes, encodeLeaf } from '../../src/core/leaf.ts';
import { decodePayload } from '../../src/core/payload.ts';
import { SetTree } from '../../src/core/set-tree.ts';
import { formatTime } from '../../src/core/time.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import { codeOf } from '../support/core-assert.ts';
import { signedNote } from '../support/core-checkpoint.ts';
import { mutantArbitrary } from '../support/core-mutants.ts';
import {
  ALICE,
  approve,
  BOB,
  CAROL,
  DAVE,
  decode,
  genesisMembers,
  governanceOf,
  logKey,
  makeSigner,
  START_MS,
  type TestSigner,
} from '../support/core-registry.ts';
import { NEEDS_PYTHON, secondVerdict } from '../support/second-verifier.ts';

const verifier = createNativeVerifier();
const OLD = 'registry.example.com/lost';
const handover = (members: Record<string, unknown> = {}, previous: Record<string, unknown> = {}) =>
  genesisMembers({
    governance: governanceOf([CAROL, DAVE]),
    previous: {
      checkpoint: signedNote({ origin: OLD, size: 9 }),
      governance: governanceOf([ALICE, BOB, CAROL], { version: 3, log_keys: [logKey(OLD)] }),
      origin: OLD,
      registry: `b3:${'ab'.repeat(32)}`,
      ...previous,
    },
    ...members,
  });

test(
  'both read the same genesis that goes on from another log, whole and mutated',
  NEEDS_PYTHON,
  () => {
    const both = [logKey(OLD), logKey(OLD, 202)];
    const wrong = [
      handover({}, { origin: 'registry.example.com/prod' }),
      handover({}, { checkpoint: signedNote({ origin: OLD, size: 0 }) }),
      handover({}, { checkpoint: signedNote({ size: 9 }) }),
      handover({}, { governance: governanceOf([ALICE], { version: 3, threshold: 1 }) }),
      handover(
        {},
        { governance: governanceOf([ALICE], { version: 3, threshold: 1, log_keys: both }) },
      ),
    ].map((members) => encodeUtf8(canonicalText(members)));
    const mutants = fc.sample(mutantArbitrary([handover()]), { numRuns: 1500, seed: 37 });
    const all = [...wrong, ...mutants];
    const { found, refusal } = secondVerdict(
      'payloads',
      ['-'],
      JSON.stringify(all.map((bytes) => Buffer.from(bytes).toString('hex'))),
    );
    assert.equal(refusal, '');
    const ours = all.map((bytes) => codeOf(() => decodePayload(bytes)) === undefined);
    assert.ok(Array.isArray(found));
    for (const [i, bytes] of all.entries())
      assert.equal(found[i], ours[i], Buffer.from(bytes).toString());
    const accepted = ours.filter(Boolean).length;
    assert.ok(accepted > 100 && accepted < 1400, `${accepted} accepted`);
  },
);

test(
  'both carry the quorum of the log before into a new one, and its signer ids',
  NEEDS_PYTHON,
  async () => {
    const impostor = makeSigner(ALICE.signer_id, 99);
    const attempts: readonly (readonly [string, Record<string, unknown>, readonly TestSigner[]])[] =
      [
        ['all new signers and two old ones', handover(), [ALICE, CAROL, DAVE]],
        ['an old signer more', handover(), [ALICE, BOB, CAROL, DAVE]],
        ['too few of the old signers', handover(), [CAROL, DAVE]],
        ['not every new signer', handover(), [ALICE, BOB, CAROL]],
        [
          'an old id with a new key',
          handover({ governance: governanceOf([impostor, CAROL]) }),
          [ALICE, CAROL],
        ],
        [
          'a stranger beside',
          handover({ governance: governanceOf([CAROL], { threshold: 1 }) }),
          [ALICE, CAROL, DAVE],
        ],
      ];
    const verdicts: boolean[] = [];
    for (const [what, members, by] of attempts) {
      const entry = entryOf(members, by);
      const ours = await isAccepted(entry);
      const { refusal } = secondVerdict('ndjson', ['-'], `${lineOf(entry)}\n`);
      assert.equal(refusal === '', ours, `${what}: ${refusal}`);
      verdicts.push(ours);
    }
    assert.deepEqual(verdicts, [true, true, false, false, false, false]);
  },
);

/** As a log would write it that has no rules. */
function entryOf(members: Record<string, unknown>, by: readonly TestSigner[]): EntryBytes {
  const proposal = decode(members);
  const { bytes: payload, payloadB3 } = proposal;
  const approvals = encodeApprovals(by.map((signer) => approve(signer, proposal)));
  const leaf = encodeLeaf({
    approvals_b3: hashOf(approvals),
    committed_at: formatTime(START_MS + 2000),
    governance_version: 1,
    origin: proposal.payload.origin,
    payload_b3: payloadB3,
    payload_bytes: payload.length,
    prev_hash: null,
    schema_version: '1.0.0',
    set_root: SetTree.EMPTY.root,
    set_size: 0,
    type: 'genesis',
    version: 0,
  });
  return { leaf, payload, approvals };
}

/** As `GET /registry/entries` writes it. */
function lineOf({ leaf, payload, approvals }: EntryBytes): string {
  const [a, l, p] = [approvals, leaf, payload].map(decodeUtf8);
  return `{"approvals":${a},"leaf":${l},"payload":${p}}`;
}

async function isAccepted(entry: EntryBytes): Promise<boolean> {
  try {
    await verifyEntry(null, entry, { verifier, isCommitted: () => false });
    return true;
  } catch (error) {
    if (error instanceof RegistryError) return false;
    throw error;
  }
}
