/** Room for proposals in flight, held to what looking at all of them says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RegistryError } from '../../../src/core/error.ts';
import type { Hash } from '../../../src/core/hash.ts';
import { formatTime } from '../../../src/core/time.ts';
import { DEFAULT_LIMITS } from '../../../src/registry/options.ts';
import { expiredToDrop, inSteps, ProposalShelf } from '../../../src/registry/proposal-room.ts';
import { makePending } from '../../../src/registry/proposal-view.ts';
import { put } from '../../support/registry.ts';
import { descriptorsPayload, START } from '../../support/signers.ts';

const HOUR_MS = 3_600_000;
const LIMITS = { ...DEFAULT_LIMITS, maxPendingProposals: 6, maxPendingBytes: 6_000 };
const REGISTRY: Hash = `b3:${'0'.repeat(64)}`;

function pendingOf(n: number, lifetimeMs: number, size: number) {
  const changes = [put(`d${n}`, { text: 'x'.repeat(size) })];
  return makePending(descriptorsPayload(REGISTRY, changes, { lifetimeMs }), formatTime(START));
}

type Kept = ReturnType<typeof pendingOf>;

/** What the rule says, over all of them. */
function expected(all: readonly Kept[], proposal: Kept['proposal'], now: number): Hash[] | string {
  const others = all.filter((p) => p.proposal.payloadB3 !== proposal.payloadB3);
  const isFull = (list: readonly Kept[]): boolean =>
    list.length >= LIMITS.maxPendingProposals ||
    list.reduce((sum, p) => sum + p.proposal.bytes.length, proposal.bytes.length) >
      LIMITS.maxPendingBytes;
  const keptMs = isFull(others) ? 0 : 24 * HOUR_MS;
  const isKept = (p: Kept): boolean => now - Date.parse(p.proposal.payload.expires_at) <= keptMs;
  if (isFull(others.filter(isKept))) return 'too_many_proposals';
  return others.filter((p) => !isKept(p)).map((p) => p.proposal.payloadB3);
}

function found(
  shelves: readonly ProposalShelf[],
  proposal: Kept['proposal'],
  now: number,
): readonly Hash[] | string {
  try {
    return expiredToDrop(shelves, { proposal, limits: LIMITS, now });
  } catch (error) {
    assert.ok(error instanceof RegistryError);
    return error.code;
  }
}

const step = fc.record({
  n: fc.nat(9),
  lifetimeMs: fc.integer({ min: 1, max: 72 }).map((hours) => hours * HOUR_MS),
  size: fc.constantFrom(1, 500, 2_000),
  afterMs: fc.constantFrom(0, 1, HOUR_MS, 24 * HOUR_MS),
  isSettled: fc.boolean(),
  isArriving: fc.boolean(),
});

test('whatever comes, expires and goes: the room is what looking at all of them says', () => {
  let refused = 0;
  let dropped = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const shelves = [new ProposalShelf(), new ProposalShelf()] as const;
      let now = START;
      for (const { n, lifetimeMs, size, afterMs, isSettled, isArriving } of steps) {
        now += afterMs;
        const pending = pendingOf(n, lifetimeMs, size);
        const id = pending.proposal.payloadB3;
        const all = shelves.flatMap((shelf) => shelf.values());
        const answer = found(shelves, pending.proposal, now);
        assert.deepEqual(answer, expected(all, pending.proposal, now));
        if (typeof answer === 'string') {
          refused++;
          continue;
        }
        dropped += answer.length;
        for (const shelf of shelves) for (const gone of answer) shelf.delete(gone);
        for (const shelf of shelves) shelf.delete(id);
        if (!isSettled) shelves[isArriving ? 1 : 0].set(id, pending);
      }
    }),
    { numRuns: 300 },
  );
  assert.ok(refused > 0 && dropped > 0, `${refused} refused, ${dropped} dropped`);
});

test('a new proposal costs the same however many are in flight, while none has expired', () => {
  const shelf = new ProposalShelf();
  let looks = 0;
  const { values } = shelf;
  shelf.values = () => {
    looks++;
    return values.call(shelf);
  };
  for (let n = 0; n < 5; n++) {
    const pending = pendingOf(n, HOUR_MS, 1);
    assert.deepEqual(found([shelf], pending.proposal, START), []);
    shelf.set(pending.proposal.payloadB3, pending);
  }
  assert.equal(looks, 0);
});

test('what is dropped is dropped a mebibyte at a time, all of it and in order', () => {
  const shelf = new ProposalShelf();
  const sizes = [300_000, 300_000, 500_000, 1_000_000, 100_000, 999_000, ...Array(70).fill(1)];
  const ids = sizes.map((size, n) => {
    const pending = pendingOf(n, HOUR_MS, size);
    shelf.set(pending.proposal.payloadB3, pending);
    return pending.proposal.payloadB3;
  });
  const steps = [...inSteps(ids, shelf)];
  assert.deepEqual(steps.flat(), ids);
  assert.deepEqual(
    steps.map((step) => step.length),
    [3, 2, 64, 7],
  );
  assert.deepEqual([...inSteps([], shelf)], []);
});
