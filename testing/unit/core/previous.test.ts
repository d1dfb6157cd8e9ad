import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalBytes } from '../../../src/core/canonical.ts';
import { appendEntry, verifyEntry } from '../../../src/core/chain.ts';
import { decodePayload } from '../../../src/core/payload.ts';
import { countQuorum, eligibleSigners } from '../../../src/core/quorum.ts';
import { formatTime } from '../../../src/core/time.ts';
import { createPortableVerifier } from '../../../src/core/verifier.ts';
import { refuses, refusesLater } from '../../support/core-assert.ts';
import { signedNote } from '../../support/core-checkpoint.ts';
import {
  ALICE,
  append,
  appendGenesis,
  approve,
  BOB,
  CAROL,
  DAVE,
  decode,
  genesisMembers,
  governanceMembers,
  governanceOf,
  logKey,
  makeSigner,
  type PayloadMembers,
  START_MS,
  type TestSigner,
} from '../../support/core-registry.ts';

const OLD = 'registry.example.com/lost';
const HASH = `b3:${'ab'.repeat(32)}`;
const ERIN = makeSigner('org:acme#erin', 5);
const verifier = createPortableVerifier();

/** Alice, Bob and Carol, two of them, in the log before. */
function previous(members: PayloadMembers = {}): PayloadMembers {
  return {
    checkpoint: signedNote({ origin: OLD, size: 9 }),
    governance: governanceOf([ALICE, BOB, CAROL], { version: 3, log_keys: [logKey(OLD)] }),
    origin: OLD,
    registry: HASH,
    ...members,
  };
}

/** Goes on with Carol and Dave. */
function handover(members: PayloadMembers = {}): PayloadMembers {
  return genesisMembers({
    governance: governanceOf([CAROL, DAVE]),
    previous: previous(),
    ...members,
  });
}

const begin = (members: PayloadMembers, ...signers: readonly TestSigner[]) =>
  append(null, members, signers);

const refusesMember = (members: unknown, message: RegExp) =>
  refuses('invalid_payload', () => decodePayload(canonicalBytes(members)), message);

test('a genesis may name the log it goes on from, and is read back as it was written', () => {
  assert.deepEqual(decode(handover()).payload, handover());
  assert.ok(!('previous' in decode(genesisMembers()).payload));
});

test('each member of the log before is required where it stands, and no other is allowed', () => {
  for (const name of Object.keys(previous())) {
    const { [name]: _, ...rest } = previous();
    refusesMember(handover({ previous: rest }), new RegExp(`/previous/${name}`));
    for (const value of [null, 7, '', {}])
      refusesMember(handover({ previous: previous({ [name]: value }) }), /\/previous\//);
  }
  refusesMember(handover({ previous: previous({ reason: '' }) }), /no member but/);
  for (const value of [null, [], 'x', 0])
    refusesMember(handover({ previous: value }), /\/previous/);
});

test('no payload but a genesis names a log before', () => {
  const { chain } = appendGenesis();
  const next = governanceMembers(chain, governanceOf([ALICE, BOB], { version: 2 }));
  refusesMember({ ...next, previous: previous() }, /no member but/);
});

test('the new origin is not the old one, and the checkpoint and log keys are of the old one', () => {
  refusesMember(
    handover({ origin: OLD, governance: governanceOf([CAROL, DAVE], { log_keys: [logKey(OLD)] }) }),
    /\/previous\/origin/,
  );
  const otherNote = signedNote({ origin: 'registry.example.com/third', size: 9 });
  refusesMember(handover({ previous: previous({ checkpoint: otherNote }) }), /a checkpoint of/);
  refusesMember(
    handover({ previous: previous({ governance: governanceOf([ALICE, BOB]) }) }),
    /\/previous\/governance\/log_keys/,
  );
});

test('the checkpoint before is a whole note over at least one leaf', () => {
  const note = signedNote({ origin: OLD, size: 9 });
  const unsigned = note.slice(0, note.indexOf('\n\n') + 2);
  const empty = signedNote({ origin: OLD, size: 0 });
  for (const checkpoint of [unsigned, empty, note.trimEnd(), `${note}x`, note.replace('9', '09')])
    refusesMember(handover({ previous: previous({ checkpoint }) }), /\/previous\/checkpoint/);
});

test('a handover needs every new signer and the threshold of the old ones', () => {
  const { payload } = decode(handover());
  const quorum = (...signers: readonly TestSigner[]) =>
    countQuorum(
      payload,
      null,
      signers.map((signer) => signer.signer_id),
    );
  assert.deepEqual(
    quorum().rules.map(({ rule, threshold, signers }) => [rule, threshold, signers.length]),
    [
      ['all', 2, 2],
      ['previous', 2, 3],
    ],
  );
  assert.ok(!quorum(CAROL, DAVE).reached); // one of the old ones
  assert.ok(!quorum(ALICE, BOB, CAROL).reached); // not every new one
  assert.ok(quorum(ALICE, CAROL, DAVE).reached); // carol is both
  assert.deepEqual(quorum(CAROL, DAVE).missing, [ALICE.signer_id, BOB.signer_id]);
  const eligible = eligibleSigners(payload, governanceOf([ERIN]));
  assert.deepEqual(
    [...eligible.keys()].sort(),
    [ALICE, BOB, CAROL, DAVE].map((s) => s.signer_id),
  );
});

test('an old key under a new id counts for both, once', () => {
  const renamed = { ...ALICE, signer_id: 'org:acme#alice-2027' };
  const { payload } = decode(handover({ governance: governanceOf([renamed, DAVE]) }));
  const reached = (...ids: readonly string[]) => countQuorum(payload, null, ids).reached;
  assert.ok(reached(renamed.signer_id, DAVE.signer_id, BOB.signer_id));
  assert.ok(!reached(renamed.signer_id, DAVE.signer_id, ALICE.signer_id));
});

test('writers and readers hold a handover to the same quorum', async () => {
  const members = handover();
  const isCommitted = () => false;
  const { entry } = begin(members, ALICE, CAROL, DAVE);
  const { chain } = await verifyEntry(null, entry, { verifier, isCommitted });
  assert.equal(chain.registry, decode(members).payloadB3);
  refuses('quorum_not_reached', () => begin(members, CAROL, DAVE), /1 of 2 previous/);
  refuses('quorum_not_reached', () => begin(members, ALICE, BOB, CAROL), /1 of 2 all/);
  refuses('unknown_signer', () => begin(members, ALICE, CAROL, DAVE, ERIN));
  const approvals = [CAROL, DAVE].map((signer) => approve(signer, decode(members)));
  const forged = { ...entry, approvals: canonicalBytes(approvals) };
  await refusesLater(
    'quorum_not_reached',
    verifyEntry(null, forged, { verifier, isCommitted }),
    /1 of 2 previous/,
  );
  const strangers = [ALICE, CAROL, DAVE].map((signer) => ({
    ...approve(ERIN, decode(members)),
    signer_id: signer.signer_id,
  }));
  await refusesLater(
    'invalid_signature',
    verifyEntry(
      null,
      { ...entry, approvals: canonicalBytes(strangers) },
      { verifier, isCommitted },
    ),
  );
});

test('an id keeps its key from one epoch into the next, and in it', () => {
  const other = { ...DAVE, signer_id: ALICE.signer_id };
  const members = handover({ governance: governanceOf([CAROL, other]) });
  refuses('invalid_governance', () => begin(members, BOB, CAROL, other), /keep its key/);
  // Alice left with the old log; nobody else is called so in the new one.
  const { chain } = begin(handover(), BOB, CAROL, DAVE);
  assert.equal(chain.signerKeys.get(ALICE.signer_id), ALICE.public_key);
  const next = governanceMembers(
    chain,
    governanceOf([CAROL, DAVE, { ...ERIN, signer_id: ALICE.signer_id }], { version: 2 }),
  );
  const proposal = decode(next);
  refuses(
    'invalid_governance',
    () =>
      appendEntry(chain, {
        proposal,
        approvals: [CAROL, DAVE]
          .map((signer) => approve(signer, proposal))
          .concat(approve(ERIN, proposal, { signerId: ALICE.signer_id })),
        committedAt: formatTime(START_MS + 5000),
        isCommitted: () => false,
      }),
    /keep its key/,
  );
});
