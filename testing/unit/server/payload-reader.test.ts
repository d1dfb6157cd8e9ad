/** Whoever checks a payload, the verdict is the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError } from '../../../src/core/error.ts';
import { decodePayload } from '../../../src/core/payload.ts';
import { changePaths } from '../../../src/core/rules.ts';
import { PayloadReader } from '../../../src/server/payload-reader.ts';
import { makeRandom } from '../../support/random.ts';
import { put } from '../../support/registry.ts';
import {
  descriptorsPayload,
  genesisPayload,
  makeGovernance,
  makeSigner,
} from '../../support/signers.ts';

const SEED = Number(process.env.QUORATE_TEST_SEED ?? 1);

function payloadOf(count: number, text = 'é"\\'): Uint8Array {
  const changes = Array.from({ length: count }, (_, i) =>
    put(`d-${String(i).padStart(5, '0')}`, { port: i, text, deep: { a: [1, 2.5, null, true] } }),
  );
  return descriptorsPayload(`b3:${'0'.repeat(64)}`, changes).bytes;
}

/** What came, or what was thrown. */
async function verdictOf(decode: () => unknown): Promise<unknown> {
  try {
    return await decode();
  } catch (error) {
    assert.ok(error instanceof RegistryError, `${error}`);
    return { code: error.code, message: error.message, details: error.details };
  }
}

async function assertSame(reader: PayloadReader, bytes: Uint8Array): Promise<unknown> {
  const expected = await verdictOf(() => decodePayload(bytes));
  const read = await verdictOf(async () => {
    const { paths, ...decoded } = await reader.decode(bytes);
    if (paths !== undefined) assert.deepEqual(paths, changePaths(decoded.payload));
    return decoded;
  });
  assert.deepEqual(read, expected);
  return expected;
}

test('small and large payloads are read as they are', async () => {
  await using reader = new PayloadReader();
  for (const count of [1, 100, 200, 300, 3_000]) {
    const read = await assertSame(reader, payloadOf(count));
    assert.ok(typeof read === 'object' && read !== null && 'payloadB3' in read, `${count}`);
  }
});

test('a large payload is read in pieces, wherever they are cut; one without changes in one', async () => {
  await using reader = new PayloadReader();
  // Changes of any length beside the length of a piece, and one that is longer.
  const sizes = [1, 10, 30_000, 65_000, 65_400, 65_500, 65_600, 140_000, 1, 64_000, 2_000, 300];
  const changes = sizes.map((size, i) =>
    put(`d-${String(i).padStart(3, '0')}`, { text: '},{"id":"'.repeat(size / 11) }),
  );
  const { bytes } = descriptorsPayload(`b3:${'0'.repeat(64)}`, changes);
  await assertSame(reader, bytes);
  const { paths } = await reader.decode(bytes);
  assert.equal(paths?.length, sizes.length);
  const signers = Array.from({ length: 255 }, (_, i) => makeSigner(`${'s'.repeat(60)}${i}`));
  const genesis = genesisPayload(makeGovernance(signers, { threshold: 1 }));
  assert.ok(genesis.bytes.length > 32 * 1024, `${genesis.bytes.length} bytes`);
  await assertSame(reader, genesis.bytes);
  assert.equal((await reader.decode(genesis.bytes)).paths, undefined);
});

test('a large payload with a fault is refused in the same words', async () => {
  await using reader = new PayloadReader();
  const text = Buffer.from(payloadOf(500)).toString();
  const faults: readonly string[] = [
    ` ${text}`,
    text.slice(0, -1),
    text.replace('"d-00250"', '"d-00249"'),
    text.replace('"port":250', '"port":250.0'),
    text.replace('"port":250', '"port":9007199254740993'),
    text.replace('"port":250', '"__proto__":250'),
    text.replace('"kind":"service"', '"kind":"Service"'),
    text.replace('"note":""', '"note":"\\u0007"'),
    text.replace('"type":"descriptors"', '"type":"another"'),
    `${'['.repeat(40_000)}${']'.repeat(40_000)}`,
    `"${'x'.repeat(1_100_000)}"`,
  ];
  const codes = new Set<unknown>();
  for (const fault of faults) {
    const verdict = await assertSame(reader, Buffer.from(fault));
    assert.ok(
      typeof verdict === 'object' && verdict !== null && 'code' in verdict,
      fault.slice(0, 90),
    );
    codes.add(verdict.code);
  }
  assert.ok(codes.size >= 5, `${[...codes]}`);
});

test('one changed byte anywhere gets the same verdict', async () => {
  await using reader = new PayloadReader();
  const random = makeRandom(SEED);
  const bytes = payloadOf(300);
  for (let i = 0; i < 150; i++) {
    const at = Math.floor(random() * bytes.length);
    await assertSame(reader, bytes.with(at, Math.floor(random() * 256)));
  }
});

test('many at once each get their own verdict', async () => {
  await using reader = new PayloadReader();
  const all = [150, 151, 152, 153, 154, 155].map((count) => payloadOf(count));
  const read = await Promise.all(all.map((bytes) => reader.decode(bytes)));
  assert.deepEqual(
    read.map(({ payloadB3 }) => payloadB3),
    all.map((bytes) => decodePayload(bytes).payloadB3),
  );
});

test('what a thread that ended was asked is refused, and the next one is asked of a new thread', async () => {
  const reader = new PayloadReader();
  await reader.decode(payloadOf(300));
  const asked = reader.decode(payloadOf(3_000));
  const ended = reader[Symbol.asyncDispose]();
  await assert.rejects(asked, /expected a thread that checks payloads, got its end/);
  await ended;
  assert.equal((await reader.decode(payloadOf(300))).bytes.length, payloadOf(300).length);
  await reader[Symbol.asyncDispose]();
});
