/** The fences of many changes, looked at some at a time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesOf } from '../../../src/core/payload.ts';
import { brokenFences, type Chain } from '../../../src/core/rules.ts';
import { formatTime } from '../../../src/core/time.ts';
import {
  makePending,
  pauseBetween,
  viewAllPending,
  viewPending,
} from '../../../src/registry/proposal-view.ts';
import {
  append,
  appendGenesis,
  decode,
  descriptorsMembers,
  put,
  START_MS,
} from '../../support/core-registry.ts';

const NOW = formatTime(START_MS);
const { chain } = appendGenesis();

function pendingOf(count: number, name = 'd') {
  const changes = Array.from({ length: count }, (_, i) =>
    put(null, `${name}-${String(i).padStart(5, '0')}`),
  );
  return makePending(decode(descriptorsMembers(chain.registry, changes)), NOW);
}

/** A view, and how often other work had its turn meanwhile. */
function viewing(at: Chain) {
  let turns = 0;
  const pause = pauseBetween((run) => {
    turns++;
    setImmediate(run);
  });
  return {
    at: { chain: at, now: NOW, pause, findErasable: async () => new Map() },
    turns: () => turns,
  };
}

/** With the first, the 2,500th and the last descriptor of `pendingOf(5_000)` there already. */
function laterChain(): Chain {
  const there = [0, 2_499, 4_999].map((i) => put(null, `d-${String(i).padStart(5, '0')}`));
  return append(chain, descriptorsMembers(chain.registry, there)).chain;
}

test('other work has its turn after every thousand fences, and what is broken is the same', async () => {
  const pending = pendingOf(5_000);
  const later = laterChain();
  const { at, turns } = viewing(later);
  const view = await viewPending(pending, at);
  assert.equal(turns(), 5);
  const changes = changesOf(pending.proposal.payload);
  assert.deepEqual(view.fences, brokenFences(later, changes, pending.paths));
  assert.deepEqual(
    view.fences.map(({ id }) => id),
    ['d-00000', 'd-02499', 'd-04999'],
  );
  assert.equal(view.state, 'blocked');
});

test('many proposals of a few hundred changes give way as one large one does', async () => {
  const all = Array.from({ length: 10 }, (_, i) => pendingOf(400, `p${i}`));
  const { at, turns } = viewing(chain);
  const views = await viewAllPending(all, at);
  assert.deepEqual(
    views.map(({ id }) => id),
    all.map(({ proposal }) => proposal.payloadB3),
  );
  assert.equal(turns(), 3);
});

test('a list has the first ten broken fences of each proposal', async () => {
  const [many, few] = [pendingOf(5_000), pendingOf(3)];
  const names = Array.from({ length: 30 }, (_, i) => `d-${String(2 * i).padStart(5, '0')}`);
  const there = names.map((name) => put(null, name));
  const { at } = viewing(append(chain, descriptorsMembers(chain.registry, there)).chain);
  const listed = (await viewAllPending([many, few], at)).map(({ state, fences }) => [
    state,
    ...fences.map(({ id }) => id),
  ]);
  assert.deepEqual(listed, [
    ['blocked', ...names.slice(0, 10)],
    ['blocked', ...names.slice(0, 2)],
  ]);
  assert.equal((await viewPending(many, at)).fences.length, 30);
});

test('fences are looked at once for each head', async () => {
  const pending = pendingOf(2_000);
  const first = viewing(chain);
  for (let i = 0; i < 3; i++) assert.equal((await viewPending(pending, first.at)).state, 'pending');
  assert.equal(first.turns(), 2);
  const second = viewing(laterChain());
  assert.equal((await viewPending(pending, second.at)).state, 'blocked');
  assert.equal(second.turns(), 2);
});
