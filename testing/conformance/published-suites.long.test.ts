/**
 * Suites that are not kept in this repository, read from checkouts: QUORATE_VECTORS names a folder with
 * <owner>/<repository> in it (vectors/README.md lists them). Files are pinned by hash, so that the
 * numbers below mean something; without the folder these tests are skipped and say so.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { canonicalText, parseCanonical } from '../../src/core/canonical.ts';
import { blake3Bytes } from '../../src/core/hash.ts';
import { isConsistent, isIncluded } from '../../src/core/tlog/merkle.ts';
import { createPortableVerifier } from '../../src/core/verifier.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import { codeOf } from '../support/core-assert.ts';

const folder = process.env.QUORATE_VECTORS ?? '';
const options =
  folder === ''
    ? { skip: 'QUORATE_VECTORS names no folder: the suites by others were not run' }
    : {};
const portable = createPortableVerifier();
const native = createNativeVerifier();

function pinned(path: string, sha256: string): string {
  const bytes = readFileSync(join(folder, path));
  assert.equal(createHash('sha256').update(bytes).digest('hex'), sha256, path);
  return bytes.toString('utf8');
}

const fromHex = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));

/** The one verdict of both forms. */
async function verdict(key: string, message: Uint8Array, signature: string): Promise<boolean> {
  const signed = { publicKey: fromHex(key), message, signature: fromHex(signature) };
  const answer = await portable.verify(signed);
  assert.equal(await native.verify(signed), answer, `${key} ${signature}`);
  return answer;
}

test('C2SP/CCTV: of 914 edge cases both forms accept one and the same', options, async () => {
  const text = pinned(
    'C2SP/CCTV/ed25519/ed25519vectors.json',
    'b38e84caf3e7e89170ff520292dbeae421b0a794c27408ce5ce973018fe3d7f9',
  );
  const cases: readonly { key: string; msg: string; sig: string; flags: unknown }[] =
    JSON.parse(text);
  assert.equal(cases.length, 914);
  const accepted = [];
  for (const each of cases)
    if (await verdict(each.key, new TextEncoder().encode(each.msg), each.sig)) accepted.push(each);
  assert.deepEqual(
    accepted.map(({ flags }) => flags),
    [null],
  );
});

test('novifinancial/ed25519-speccheck: both forms refuse all 12', options, async () => {
  const text = pinned(
    'novifinancial/ed25519-speccheck/cases.json',
    '08e47a36d9aead288664930505584f353fff113ab854f2800db1e4f5b3540450',
  );
  const cases: readonly { message: string; pub_key: string; signature: string }[] =
    JSON.parse(text);
  assert.equal(cases.length, 12);
  for (const { message, pub_key, signature } of cases)
    assert.equal(await verdict(pub_key, fromHex(message), signature), false);
});

interface Wycheproof {
  readonly testGroups: readonly {
    readonly publicKey: { readonly pk: string };
    readonly tests: readonly {
      readonly tcId: number;
      readonly msg: string;
      readonly sig: string;
      readonly result: string;
    }[];
  }[];
}

test('C2SP/wycheproof: both forms give all 151 expected results', options, async () => {
  const text = pinned(
    'C2SP/wycheproof/testvectors_v1/ed25519_test.json',
    '752d2ea7d7c6cf4736381b6cbacb61f8182b126ab7cd9b058f00c50084975536',
  );
  const { testGroups }: Wycheproof = JSON.parse(text);
  let count = 0;
  for (const { publicKey, tests } of testGroups)
    for (const { tcId, msg, sig, result } of tests) {
      const answer = await verdict(publicKey.pk, fromHex(msg), sig);
      assert.equal(answer, result === 'valid', `tcId ${tcId}`);
      count++;
    }
  assert.equal(count, 151);
});

test('BLAKE3-team/BLAKE3: all 35 vectors hold', options, () => {
  const text = pinned(
    'BLAKE3-team/BLAKE3/test_vectors/test_vectors.json',
    'dcb91ea8accc77e6d6e632af7cdc1a99a9f3ae78cf648da595c7d064db32f624',
  );
  const { cases }: { cases: readonly { input_len: number; hash: string }[] } = JSON.parse(text);
  assert.equal(cases.length, 35);
  for (const { input_len, hash } of cases) {
    const input = Uint8Array.from({ length: input_len }, (_, i) => i % 251);
    assert.equal(Buffer.from(blake3Bytes(input)).toString('hex'), hash.slice(0, 64));
  }
});

test(
  'nst/JSONTestSuite: raw bytes, nothing that is not JSON is accepted and nothing crashes',
  options,
  () => {
    const path = join(folder, 'nst/JSONTestSuite/test_parsing');
    const codes = readdirSync(path).map((name): [string, string] => {
      const bytes = Uint8Array.from(readFileSync(join(path, name)));
      return [name, codeOf(() => parseCanonical(bytes)) ?? 'accepted'];
    });
    assert.equal(codes.length, 318);
    const accepted = codes.filter(([, code]) => code === 'accepted').map(([name]) => name);
    assert.deepEqual([...new Set(accepted.map((name) => name[0]))], ['y']);
    assert.equal(accepted.length, 42);
  },
);

test('cyberphone/json-canonicalization: the documents have their canonical bytes', options, () => {
  const path = join(folder, 'cyberphone/json-canonicalization/testdata');
  const names = readdirSync(join(path, 'input'));
  assert.equal(names.length, 6);
  for (const name of names) {
    const value = JSON.parse(readFileSync(join(path, 'input', name), 'utf8'));
    const hex = readFileSync(join(path, 'outhex', name.replace('.json', '.txt')), 'utf8');
    const ours = Buffer.from(canonicalText(value)).toString('hex');
    assert.equal(ours, hex.replace(/\s/g, ''), name);
  }
});

/** The sequence that its README describes: a table, 2,000 successors of the least normal, a hash chain. */
function* published(table: readonly bigint[], count: number): Generator<number> {
  const view = new DataView(new ArrayBuffer(8));
  const toDouble = (bits: bigint): number => {
    view.setBigUint64(0, bits);
    return view.getFloat64(0);
  };
  const serial = Array.from({ length: 2000 }, (_, i) => 0x0010000000000000n + BigInt(i));
  yield* [...table, ...serial].map(toDouble);
  let made = table.length + serial.length;
  for (let state = createHash('sha256').update(Buffer.alloc(32)).digest(); made < count; ) {
    for (let at = 0; at < 32 && made < count; at += 8) {
      const value = state.readDoubleLE(at);
      if (value === 0 || !Number.isFinite(value)) continue;
      yield value;
      made++;
    }
    state = createHash('sha256').update(state).digest();
  }
}

test(
  'cyberphone/json-canonicalization: 100,000 numbers hash to the published value',
  options,
  () => {
    const text = pinned(
      'cyberphone/json-canonicalization/testdata/README.md',
      'd580b04eafeb74973b6cc3e2b2b572a21a992078846652bd3153e7a624dd6b97',
    );
    const [head = ''] = text.split('staticF64s');
    const table = [...head.matchAll(/0x[0-9a-f]{16}(?=n)/g)].map(([hex]) => BigInt(hex));
    assert.equal(table.length, 168);
    const view = new DataView(new ArrayBuffer(8));
    const hash = createHash('sha256');
    for (const value of published(table, 100_000)) {
      view.setFloat64(0, value);
      hash.update(`${view.getBigUint64(0).toString(16)},${canonicalText(value)}\n`);
    }
    assert.equal(
      hash.digest('hex'),
      '22776e6d4b49fa294a0d0f349268e5c28808fe7e0cb2bcbe28f63894e494d4c7',
    );
  },
);

/** Every JSON file under a folder, in the order of their paths; `sha256` is over all of them together. */
function pinnedFolder<T>(path: string, sha256: string): readonly T[] {
  const names = readdirSync(join(folder, path), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .sort();
  const texts = names.map((name) => readFileSync(join(folder, path, name), 'utf8'));
  assert.equal(createHash('sha256').update(texts.join('')).digest('hex'), sha256, path);
  return texts.map((text): T => JSON.parse(text));
}

interface ProofCase {
  readonly desc: string;
  readonly wantErr: boolean;
  readonly proof: readonly string[] | null;
}

const fromBase64 = (text: string | null): Uint8Array =>
  Uint8Array.from(Buffer.from(text ?? '', 'base64'));

test('transparency-dev/merkle: all 98 proofs of inclusion get their verdicts', options, () => {
  const cases = pinnedFolder<
    ProofCase & { leafIdx: number; treeSize: number; root: string; leafHash: string }
  >(
    'transparency-dev/merkle/testdata/inclusion',
    '4bac25d56bb2d347cea42be95f5b9facdd7f88e009cd152b93ee81dde5e81f6b',
  );
  assert.equal(cases.length, 98);
  for (const { desc, wantErr, leafIdx, treeSize, leafHash, root, proof } of cases) {
    const answer = isIncluded({
      record: fromBase64(leafHash),
      index: leafIdx,
      size: treeSize,
      proof: (proof ?? []).map(fromBase64),
      root: fromBase64(root),
    });
    assert.equal(answer, !wantErr, `${leafIdx} of ${treeSize}: ${desc}`);
  }
});

test(
  'transparency-dev/merkle: 97 of 98 proofs of consistency get their verdicts, one is none to us',
  options,
  () => {
    const cases = pinnedFolder<
      ProofCase & { size1: number; size2: number; root1: string; root2: string }
    >(
      'transparency-dev/merkle/testdata/consistency',
      'ebfb13ee3792619a02edea9900f3f611dbc6d725265005e1d1bf73878e14f4b9',
    );
    assert.equal(cases.length, 98);
    const others = cases.filter(({ wantErr, size1, size2, root1, root2, proof }) => {
      const answer = isConsistent({
        from: size1,
        size: size2,
        proof: (proof ?? []).map(fromBase64),
        fromRoot: fromBase64(root1),
        root: fromBase64(root2),
      });
      return answer === wantErr;
    });
    // Its roots are 12 bytes of text: to us no hashes at all.
    assert.deepEqual(
      others.map(({ desc, root1 }) => [desc, fromBase64(root1).length]),
      [['sizes are equal (one) and proof is empty', 12]],
    );
  },
);
