/** Approvals that arrive while their proposal is being committed: the answer says what the entry holds, and no more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeApprovals } from '../../../src/core/approval.ts';
import { RegistryError } from '../../../src/core/error.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import type { Store } from '../../../src/store/store.ts';
import { checkLog } from '../../support/check-log.ts';
import { lying } from '../../support/lying-store.ts';
import { openTestRegistry, put } from '../../support/registry.ts';
import { descriptorsPayload } from '../../support/signers.ts';

/** A commit with the approvals of two of three signers, whose append waits `before` it is in the store or `after`. */
async function committing(when: 'before' | 'after', outcome?: () => unknown) {
  const inner = createMemoryStore();
  const reached = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const append: Store['append'] = async (batch) => {
    if (batch.expected < 0) return inner.append(batch);
    if (when === 'before') {
      reached.resolve();
      await gate.promise;
      outcome?.();
      return inner.append(batch);
    }
    const answer = await inner.append(batch);
    reached.resolve();
    await gate.promise;
    outcome?.();
    return answer;
  };
  const answers: string[] = [];
  const putApproval: Store['putApproval'] = async (...given) => {
    const answer = await inner.putApproval(...given);
    answers.push(answer);
    return answer;
  };
  const real = await openTestRegistry({ store: lying(inner, { append, putApproval }) });
  const { proposals } = real.registry;
  const [alice, bob, carol] = real.signers;
  assert.ok(alice && bob && carol);
  const proposal = descriptorsPayload(real.registryHash, [put('a', {})]);
  const id = proposal.payloadB3;
  await proposals.propose(proposal.bytes);
  const [first, ...others] = [alice, bob, carol].map((signer) => signer.approve(proposal));
  const [second, late] = others;
  assert.ok(first && second && late);
  for (const approval of [first, second]) await proposals.approve(id, approval);
  const commit = proposals.commit(id);
  await reached.promise;
  const already = answers.length;
  /** Lets the commit go on once the store has answered for these approvals, as expected. */
  const release = async (...expected: string[]): Promise<void> => {
    while (answers.length < already + expected.length)
      await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(answers.slice(already), expected);
    gate.resolve();
  };
  return { ...real, inner, proposals, id, first, late, commit, release };
}

type Committing = Awaited<ReturnType<typeof committing>>;

/** The signers of an approval, as the entry, the proposal and the list have them. */
async function signersOf({ inner, proposals, id }: Committing) {
  const { approvals = new Uint8Array() } = (await inner.entry(1)) ?? {};
  const listed = (await proposals.list()).find((one) => one.id === id);
  return [decodeApprovals(approvals), (await proposals.get(id))?.approvals, listed?.approvals].map(
    (all = []) => all.map(({ signer_id }) => signer_id),
  );
}

for (const [when, what, answer] of [
  ['after', 'that is in the store already', 'no_proposal'],
  ['before', 'that is planned already', 'added'],
] as const)
  test(`an approval is refused that comes after those of an entry ${what}`, async () => {
    const real = await committing(when);
    const { proposals, id, late, commit, release } = real;
    const refused = assert.rejects(proposals.approve(id, late), {
      code: 'conflict',
      details: { version: 1 },
    });
    await release(answer);
    assert.equal((await commit).head.version, 1);
    await refused;
    await assert.rejects(proposals.approve(id, late), { code: 'conflict' });
    const [entry, got, listed] = await signersOf(real);
    assert.equal(entry?.length, 2);
    assert.deepEqual(got, entry);
    assert.deepEqual(listed, entry);
    await checkLog(real.inner);
  });

test('an approval that comes again while its entry is in the store already is acknowledged as committed', async () => {
  const { proposals, id, first, commit, release } = await committing('after');
  const repeated = proposals.approve(id, first);
  await release('no_proposal');
  await commit;
  const { state, version } = await repeated;
  assert.deepEqual([state, version], ['committed', 1]);
});

test('an approval that comes during a commit that fails is kept, and counts', async () => {
  let isFull = true;
  const real = await committing('before', () => {
    if (isFull) throw new RegistryError('read_only', 'expected room on the disk, got none');
  });
  const { proposals, id, late, commit, release } = real;
  const approved = proposals.approve(id, late);
  await release('added');
  await assert.rejects(commit, { code: 'read_only' });
  const { state, approvals } = await approved;
  assert.deepEqual([state, approvals.length], ['ready', 3]);
  isFull = false;
  await proposals.commit(id);
  const [entry, got, listed] = await signersOf(real);
  assert.equal(entry?.length, 3);
  assert.deepEqual([got, listed], [entry, entry]);
});

test('an approval that comes during a commit whose outcome is unknown is answered with that', async () => {
  const { proposals, id, late, commit, release } = await committing('after', () => {
    throw new Error('disk i/o error');
  });
  const approved = assert.rejects(proposals.approve(id, late), { code: 'outcome_unknown' });
  await release('no_proposal');
  await assert.rejects(commit, { code: 'outcome_unknown' });
  await approved;
});
