/** Changes read where they stand: the same as the strict reader gives, or left to it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalBytes, type JsonObject } from '../../../src/core/canonical.ts';
import { blake3Bytes } from '../../../src/core/hash.ts';
import { type Change, changesOf, decodePayload } from '../../../src/core/payload.ts';
import { ChangeReader } from '../../../src/server/change-reader.ts';
import { hashBytes } from '../../../src/server/fast-hash/hash-bytes.ts';
import { put, remove } from '../../support/registry.ts';
import {
  descriptorsPayload,
  genesisPayload,
  makeGovernance,
  makeSigners,
} from '../../support/signers.ts';

const GENESIS = genesisPayload(makeGovernance(makeSigners(2), { threshold: 1 }));

const SPECS: readonly JsonObject[] = [
  {},
  { a: '{' },
  { a: '"}', b: ['}', '{', '\\'], c: '\\"' },
  { '"': { '\\': '\\\\"' } },
  { deep: { deeper: [{ x: 1 }, [], {}] }, n: -1.5e-7, t: true, z: null },
  { text: 'h\u00e9llo \u{1f30d} \u2028 \u0007' },
  { '10': 1, '9': 2, a: { '2': 'b', '11': [] } },
  { long: 'x'.repeat(10_000) },
  // Quotes, escaped and not, at any distance from where a string begins.
  ...Array.from({ length: 80 }, (_, n) => ({
    [`${'k'.repeat(n)}"`]: `${'x'.repeat(n)}${'\\'.repeat(n % 5)}"${'}'.repeat(40)}\\`,
  })),
  { quotes: '"'.repeat(500), slashes: '\\'.repeat(501) },
];

interface Slice {
  readonly kind: string;
  readonly id: string;
  /** `null`: it removes. */
  readonly spec: string | null;
  readonly isReplacing: boolean;
}

/** `undefined`: not in the form that canonical payloads with changes have. */
function changeSlices(payload: Uint8Array, at = 0): readonly Slice[] | undefined {
  const reader = new ChangeReader(payload);
  if (!reader.enter(at)) return undefined;
  const text = (begin: number, end: number) => Buffer.from(payload.subarray(begin, end)).toString();
  const slices: Slice[] = [];
  while (reader.next()) {
    const { idAt, idEnd, kindAt, kindEnd, specAt, specEnd, isReplacing } = reader;
    assert.equal(text(reader.begin, idAt), '{"id":"');
    slices.push({
      kind: text(kindAt, kindEnd),
      id: text(idAt, idEnd),
      spec: specAt < 0 ? null : text(specAt, specEnd),
      isReplacing,
    });
  }
  return reader.isWhole ? slices : undefined;
}

function slicesOf(changes: readonly Change[]) {
  const { bytes } = descriptorsPayload(GENESIS.payloadB3, [...changes]);
  return {
    slices: changeSlices(bytes),
    decoded: changesOf(decodePayload(bytes).payload).map((change) => ({
      kind: change.kind,
      id: change.id,
      spec: change.op === 'put' ? Buffer.from(canonicalBytes(change.spec)).toString() : null,
      isReplacing: change.replaces !== null,
    })),
  };
}

test('the changes of a payload are the same as slices and decoded', () => {
  const puts = SPECS.map((spec, i) => put(`a/b-${i}:x@y+z`, spec, i % 2 === 0 ? undefined : {}));
  const removes = [remove('r1', { v: 1 }), remove('r2', {})];
  for (const changes of [...puts, ...removes].map((change) => [change])) {
    const { slices, decoded } = slicesOf(changes);
    assert.deepEqual(slices, decoded);
  }
  const { slices, decoded } = slicesOf([...puts, ...removes]);
  assert.deepEqual(slices, decoded);
  assert.equal(slices?.length, SPECS.length + 2);
});

test('what has no changes, or not in their canonical form, is left to the strict reader', () => {
  assert.equal(changeSlices(GENESIS.bytes), undefined);
  const { bytes } = descriptorsPayload(GENESIS.payloadB3, [put('a', { v: '"' }), remove('b', {})]);
  const text = Buffer.from(bytes).toString('latin1');
  for (const [from, to] of [
    ['{"changes"', '{ "changes"'],
    ['{"id"', '{"ID"'],
    ['"kind"', '"KIND"'],
    ['"op":"put"', '"op":"set"'],
    ['"op":"remove"', '"op":"drop"'],
    ['"replaces":null', '"replaces":1'],
    ['"spec":{', '"spec":['],
    ['}},{', '}}{'],
    ['}},{', '}} ,{'],
  ] as const) {
    assert.ok(text.includes(from), from);
    assert.equal(changeSlices(Buffer.from(text.replace(from, to), 'latin1')), undefined, from);
  }
  // Cut at any place it is not read to its end, and not past it.
  const end = text.indexOf('],"created_at"');
  for (let cut = 0; cut <= end; cut++)
    assert.equal(changeSlices(bytes.subarray(0, cut)), undefined, `${cut}`);
  assert.equal(changeSlices(bytes.subarray(0, end + 1))?.length, 2);
});

test('bytes of any length have the hash that core gives them', () => {
  for (const length of [
    0, 1, 1_024, 2_047, 2_048, 2_049, 3_072, 4_095, 4_096, 4_097, 16_384, 16_385, 70_000,
  ]) {
    const bytes = Uint8Array.from({ length }, (_, i) => i % 251);
    assert.deepEqual(hashBytes(bytes), blake3Bytes(bytes), `${length}`);
  }
});
