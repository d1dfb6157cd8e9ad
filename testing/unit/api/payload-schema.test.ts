import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { Approval, Leaf, Payload } from '../../../src/api/documents.ts';
import { createJsonSchema } from '../../../src/api/json-schemas.ts';
import { readApproval } from '../../../src/core/approval.ts';
import { decodeUtf8, encodeUtf8 } from '../../../src/core/bytes.ts';
import { canonicalBytes, type Json, parseCanonical } from '../../../src/core/canonical.ts';
import { excerpt, RegistryError } from '../../../src/core/error.ts';
import { decodeLeaf } from '../../../src/core/leaf.ts';
import { decodePayload } from '../../../src/core/payload.ts';
import { signedNote } from '../../support/core-checkpoint.ts';
import {
  ALICE,
  append,
  appendGenesis,
  descriptorsMembers,
  eraseMembers,
  genesisMembers,
  governanceMembers,
  governanceOf,
  logKey,
  put,
  supersedeMembers,
} from '../../support/core-registry.ts';

const GENESIS = appendGenesis();
const FIRST = append(
  GENESIS.chain,
  descriptorsMembers(GENESIS.chain.registry, [put(null, 'a/b', { deep: [{ er: 1.5 }] })]),
);
const HASH = GENESIS.chain.entryHash;
const OLD = 'registry.example.com/lost';

const PAYLOADS: readonly Json[] = [
  genesisMembers(),
  genesisMembers({
    previous: {
      checkpoint: signedNote({ origin: OLD }),
      governance: governanceOf([ALICE], { threshold: 1, log_keys: [logKey(OLD)] }),
      origin: OLD,
      registry: HASH,
    },
  }),
  descriptorsMembers(HASH, [
    put(null, 'a'),
    put(null, 'b', { x: null }),
    { op: 'remove', kind: 'service', id: 'c', replaces: HASH },
  ]),
  governanceMembers(GENESIS.chain, governanceOf([ALICE], { version: 2, threshold: 1 })),
  supersedeMembers(GENESIS.chain, []),
  eraseMembers(FIRST.chain),
].map(plain);

/** What a schema without code cannot say: order, uniqueness, relations, and which years leap. */
const BEYOND_SCHEMAS = [
  /^a time after created_at/,
  /^changes sorted/,
  /^signers sorted/,
  /^one key for each signer/,
  /^each log key once/,
  /^log keys that are no signer keys/,
  /^a c2sp verifier key .* named/, // its name, its key id and its type
  /^an ed25519 log key among them/,
  /^another origin than the new one/,
  /^a c2sp checkpoint/,
  /^a checkpoint of/,
  /^an integer from 1 to \d{1,3}$/, // a threshold above the number of signers
];

/** Values that are near something valid for some member. */
const NEAR: readonly Json[] = [
  ...[null, true, '', 'genesis', 'supersede', 'erase', 'put', '1.0.0', [], {}, { constructor: 1 }],
  ...['2026-02-29T00:00:00.000Z', '2028-02-29T00:00:00.000Z', '2026-02-30T00:00:00.000Z'],
  ...['2026-11-31T00:00:00.000Z', '2026-11-21T24:00:00.000Z', '2026-11-21T09:00:00Z'],
  ...['2026-11-23T09:00:00.000Z', '2026-11-23T09:00:00.00Z', '2026-13-01T09:00:00.000Z'],
  ...['a..b/c', '../a', 'a//b', 'a/.', 'a/..', '.', 'a'.repeat(256), 'a'.repeat(257), 'A/b'],
  ...['a'.repeat(63), 'a'.repeat(64), '0a', 'org:a#b', 'org:A#b', `org:a#${'b'.repeat(200)}`],
  ...[HASH, HASH.toUpperCase(), HASH.slice(0, -1), `${HASH}0`, 'registry.example.com/x/y'],
  ...[`${ALICE.public_key.slice(0, 42)}B=`, ALICE.public_key, ALICE.public_key.slice(0, -1)],
  ...['é'.repeat(1024), '\u{1f600}'.repeat(1024), '\u{1f600}'.repeat(1025), 'a'.repeat(1025)],
  ...['a\u200bb', 'a\u{e0041}b', 'a\nb', 'a\u0085b', 'a\u2066b', logKey('other.example')],
  ...[1, 2, 3, 4, 5, 6, 7, 8].map((seed) => logKey(undefined, seed)),
  ...[0, 1, 2, 255, 256, -1, 1.5, 2 ** 53, -(2 ** 53), 1e300, { a: { prototype: [] } }],
];

const junk: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom(...NEAR),
  fc.string({ unit: 'binary', maxLength: 12 }).filter((text) => text.isWellFormed()),
  fc.integer(),
);

interface Mutation {
  readonly container: number;
  readonly member: number;
  readonly how: 'replace' | 'remove' | 'add' | 'repeat';
  readonly value: Json;
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  container: fc.nat(),
  member: fc.nat(),
  how: fc.constantFrom('replace', 'replace', 'replace', 'remove', 'add', 'repeat'),
  value: junk,
});

test('the payload schema accepts what core accepts, and refuses what core refuses as far as it can say', () => {
  const seen = { accepted: 0, refused: 0, beyond: 0 };
  fc.assert(
    fc.property(
      fc.constantFrom(...PAYLOADS),
      fc.array(mutation, { maxLength: 2 }),
      (payload, mutations) => {
        seen[assertAgreement(mutations.reduce(mutate, payload), 'a mutation')]++;
      },
    ),
    { numRuns: 2_000 },
  );
  assert.ok(seen.accepted > 100 && seen.refused > 500 && seen.beyond > 5, JSON.stringify(seen));
});

test('schema and core agree on every near value in the place of every member', () => {
  let count = 0;
  for (const payload of PAYLOADS)
    for (const pointer of pointersOf(payload))
      for (const value of NEAR) {
        assertAgreement(
          replaceAt(payload, pointer, value),
          `${pointer.join('/')} ${excerpt(value)}`,
        );
        count++;
      }
  assert.ok(count > 3_000, `${count} cases`);
});

test('schema and core agree on every text of a document with one character changed', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...PAYLOADS),
      fc.nat(),
      fc.nat(),
      fc.constantFrom(
        '',
        'A',
        'B',
        'g',
        'z',
        'Z',
        '=',
        '/',
        '.',
        '-',
        '0',
        '9',
        '+',
        ' ',
        '\u200b',
      ),
      (payload, member, at, text) => {
        const texts = pointersOf(payload).filter((p) => typeof valueAt(payload, p) === 'string');
        const pointer = texts[member % texts.length] ?? [];
        const before = String(valueAt(payload, pointer));
        // The last characters are where base64 and times have their rules.
        const place = before.length - 1 - (at % Math.min(before.length + 1, 12));
        const after = before.slice(0, Math.max(place, 0)) + text + before.slice(place + 1);
        assertAgreement(replaceAt(payload, pointer, after), `${pointer.join('/')} ${after}`);
      },
    ),
    { numRuns: 3_000 },
  );
});

test('the approval and leaf schemas agree with core on every mutation of one member', () => {
  const [approval] = parseCanonical(FIRST.entry.approvals) as readonly Json[];
  const leaf = parseCanonical(FIRST.entry.leaf);
  fc.assert(
    fc.property(fc.array(mutation, { maxLength: 1 }), (mutations) => {
      const changed = mutations.reduce(mutate, approval ?? null);
      assert.equal(
        Approval.safeParse(changed).success,
        isReadable(() => readApproval(changed)),
      );
      const other = mutations.reduce(mutate, leaf);
      assert.equal(
        Leaf.safeParse(other).success,
        isReadable(() => decodeLeaf(canonicalBytes(other))),
      );
    }),
    { numRuns: 2_000 },
  );
});

test('the published schema refuses the member names that core refuses, __proto__ with them', () => {
  // zod leaves an own __proto__ out of records unseen, so this asks the document itself.
  const published = z.fromJSONSchema(JSON.parse(JSON.stringify(specSchema())));
  for (const name of ['__proto__', 'constructor', 'prototype']) {
    const nested = `{"a":[{"${name}":1}]}`;
    for (const text of [`{"${name}":1}`, nested]) {
      assert.equal(published.safeParse(JSON.parse(text)).success, false, text);
      assert.equal(refusalOf(() => parseCanonical(encodeUtf8(text)))?.code, 'invalid_payload');
    }
  }
  assert.ok(published.safeParse({ a: [{ b: 1 }] }).success);
});

test('every pattern of the published schemas compiles with the u flag', () => {
  const patterns: string[] = [];
  JSON.stringify(createJsonSchema('payload'), (name, value) => {
    if (name === 'pattern') patterns.push(value);
    return value;
  });
  assert.ok(patterns.length >= 8);
  for (const pattern of patterns) new RegExp(pattern, 'u');
});

/** What both say of a document; fails when they differ for a reason that is not listed. */
function assertAgreement(document: Json, place: string): 'accepted' | 'refused' | 'beyond' {
  const isAccepted = Payload.safeParse(document).success;
  const refusal = refusalOf(() => decodePayload(canonicalBytes(document)));
  if (refusal === undefined) {
    assert.ok(isAccepted, `only the schema refuses ${place}`);
    return 'accepted';
  }
  if (!isAccepted) return 'refused';
  assert.ok(isBeyond(refusal), `only core refuses ${place}: ${refusal.message}`);
  return 'beyond';
}

function isBeyond({ details, message }: RegistryError): boolean {
  const expected = String(details.expected);
  if (expected.startsWith('a time like')) return message.includes('-02-29T');
  return BEYOND_SCHEMAS.some((reason) => reason.test(expected));
}

function specSchema(): object {
  const { $defs } = createJsonSchema('payload') as { $defs: object };
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', $ref: '#/$defs/Spec', $defs };
}

function plain(value: unknown): Json {
  return JSON.parse(decodeUtf8(canonicalBytes(value)));
}

function refusalOf(read: () => unknown): RegistryError | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof RegistryError) return error;
    throw error;
  }
}

function isReadable(read: () => unknown): boolean {
  const refusal = refusalOf(read);
  return refusal === undefined || isBeyond(refusal);
}

type Pointer = readonly string[];

function pointersOf(value: Json, pointer: Pointer = []): Pointer[] {
  const members = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return [pointer, ...members.flatMap(([name, member]) => pointersOf(member, [...pointer, name]))];
}

function valueAt(document: Json, pointer: Pointer): Json | undefined {
  return pointer.reduce<Json | undefined>((node, name) => Object(node)[name], document);
}

function replaceAt(document: Json, pointer: Pointer, value: Json): Json {
  const [name, ...rest] = pointer;
  if (name === undefined) return value;
  const copy: Json = structuredClone(document);
  const member = replaceAt(valueAt(document, [name]) ?? null, rest, value);
  return Object.assign(Object(copy), { [name]: member });
}

/** Changes one place of a copy: the container is picked by number among all of the document. */
function mutate(document: Json, { container: at, member, how, value }: Mutation): Json {
  const copy = structuredClone(document);
  const containers: (Json[] | Record<string, Json>)[] = [];
  const collect = (node: Json): void => {
    if (typeof node !== 'object' || node === null) return;
    containers.push(node as Json[] | Record<string, Json>);
    Object.values(node).forEach(collect);
  };
  collect(copy);
  const container = containers[at % containers.length];
  if (container === undefined) return value;
  if (Array.isArray(container)) {
    if (how === 'remove') container.pop();
    else if (how === 'repeat' && container[0] !== undefined) container.push(container[0]);
    else container.push(value);
    return copy;
  }
  const names = Object.keys(container);
  const name = how === 'add' ? 'added' : names[member % Math.max(names.length, 1)];
  if (name !== undefined && how === 'remove') delete container[name];
  else if (name !== undefined) container[name] = value;
  return copy;
}
