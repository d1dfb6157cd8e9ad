import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { countChanges, keyOf, planChanges, valueHashOf } from '../../../src/cli/plan.ts';
import { type Change, compareKeys, type Descriptor } from '../../../src/core/payload.ts';

const plain = { noNullPrototype: true };
const descriptor = fc.record(
  {
    kind: fc.constantFrom('service', 'image'),
    id: fc.constantFrom('a', 'b', 'c', 'd'),
    spec: fc.record({ n: fc.integer({ min: 0, max: 2 }) }, plain),
  },
  plain,
);
const descriptorSet = fc.uniqueArray(descriptor, { selector: keyOf, maxLength: 8 });

/** What the registry does with changes; fails where a fence does not hold. */
function applied(current: readonly Descriptor[], changes: readonly Change[]): Descriptor[] {
  const set = new Map(current.map((item) => [keyOf(item), item]));
  for (const change of changes) {
    const found = set.get(keyOf(change));
    assert.equal(found === undefined ? null : valueHashOf(found), change.replaces);
    if (change.op === 'remove') set.delete(keyOf(change));
    else set.set(keyOf(change), { kind: change.kind, id: change.id, spec: change.spec });
  }
  return [...set.values()].sort(compareKeys);
}

test('a plan applied to the current set gives what was declared, and a second plan is empty', () => {
  fc.assert(
    fc.property(descriptorSet, descriptorSet, (declared, current) => {
      const options = { prune: false, kind: undefined };
      const after = applied(current, planChanges({ declared, current }, options));
      const kept = current.filter(
        (item) => !declared.some((other) => keyOf(other) === keyOf(item)),
      );
      assert.deepEqual(after, [...declared, ...kept].sort(compareKeys));
      assert.deepEqual(planChanges({ declared, current: after }, options), []);
    }),
  );
});

test('with prune the kinds that were declared hold what was declared and nothing else', () => {
  fc.assert(
    fc.property(descriptorSet, descriptorSet, (declared, current) => {
      const changes = planChanges({ declared, current }, { prune: true, kind: undefined });
      const kinds = new Set(declared.map((item) => item.kind));
      const others = current.filter((item) => !kinds.has(item.kind));
      assert.deepEqual(applied(current, changes), [...declared, ...others].sort(compareKeys));
    }),
  );
});

test('with prune and a kind, an empty declared set removes that kind and no other', () => {
  const current = [
    { kind: 'image', id: 'a', spec: {} },
    { kind: 'service', id: 'a', spec: {} },
  ];
  const changes = planChanges({ declared: [], current }, { prune: true, kind: 'image' });
  assert.deepEqual(changes.map(keyOf), ['image/a']);
  assert.deepEqual(planChanges({ declared: [], current }, { prune: true, kind: undefined }), []);
});

test('changes are counted as added, changed and removed', () => {
  const current = [
    { kind: 'service', id: 'a', spec: { n: 0 } },
    { kind: 'service', id: 'b', spec: { n: 0 } },
  ];
  const declared = [
    { kind: 'service', id: 'a', spec: { n: 1 } },
    { kind: 'service', id: 'c', spec: { n: 0 } },
  ];
  const changes = planChanges({ declared, current }, { prune: true, kind: undefined });
  assert.deepEqual(countChanges(changes), { added: 1, changed: 1, removed: 1 });
});
