/** A revocation id is a block's signature, so a token may hold no signature of which there is a second one. */
import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { test } from 'node:test';
import { loadLibrary } from '../../../src/server/tokens/biscuit.ts';
import { attenuateToken, openToken } from '../../../src/server/tokens/make.ts';
import { decodeToken, encodeToken, parse } from '../../../src/server/tokens/token.ts';
import {
  BLOCK_FIELD,
  bytesIn,
  FIELD,
  type Part,
  putTogether,
  takeApart,
} from '../../support/token-parts.ts';
import { makeTokenKey, mint, openTestAuthority } from '../../support/tokens.ts';

const KEY = makeTokenKey();

interface BlockKey {
  readonly privateKey: KeyObject;
  /** As the format names it: 0 Ed25519, 1 P-256. */
  readonly algorithm: number;
  readonly publicKey: Uint8Array;
  readonly secret: Uint8Array;
}

function makeKey(kind: 'ed25519' | 'p256'): BlockKey {
  const { privateKey } =
    kind === 'p256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('ed25519');
  const jwk = privateKey.export({ format: 'jwk' });
  const [x, y, d] = [jwk.x, jwk.y, jwk.d].map((text = '') => Buffer.from(text, 'base64url'));
  assert.ok(x !== undefined && y !== undefined && d !== undefined);
  const publicKey = kind === 'p256' ? Buffer.concat([[2 + ((y[31] ?? 0) & 1)], x].map(asBytes)) : x;
  return { privateKey, algorithm: kind === 'p256' ? 1 : 0, publicKey, secret: d };
}

function asBytes(bytes: ArrayLike<number>): Uint8Array {
  return Uint8Array.from(bytes);
}

interface Signed {
  readonly content: Uint8Array;
  readonly by: KeyObject;
  readonly next: BlockKey;
  /** The signature of the block before. */
  readonly after: Uint8Array;
}

/** Biscuit specification, "Signature (one block)", version 1. */
function signBlock({ content, by, next, after }: Signed): Uint8Array {
  const number = (value: number) => Buffer.from(Uint32Array.of(value).buffer);
  const message = Buffer.concat([
    Buffer.from('\0BLOCK\0\0VERSION\0'),
    number(1),
    Buffer.from('\0PAYLOAD\0'),
    content,
    Buffer.from('\0ALGORITHM\0'),
    number(next.algorithm),
    Buffer.from('\0NEXTKEY\0'),
    next.publicKey,
    Buffer.from('\0PREVSIG\0'),
    after,
  ]);
  return Uint8Array.from(sign(by.asymmetricKeyType === 'ec' ? 'sha256' : null, message, by));
}

function packBlock({ content, next }: Signed, signature: Uint8Array): Part {
  const nextKey = putTogether([
    { field: 1, value: next.algorithm },
    { field: 2, bytes: next.publicKey },
  ]);
  const block = putTogether([
    { field: BLOCK_FIELD.content, bytes: content },
    { field: BLOCK_FIELD.nextKey, bytes: nextKey },
    { field: BLOCK_FIELD.signature, bytes: signature },
    { field: BLOCK_FIELD.version, value: 1 },
  ]);
  return { field: FIELD.block, bytes: block };
}

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The same signature with -s, which holds too. */
function withOtherS(der: Uint8Array): Uint8Array {
  const rEnd = 4 + (der[3] ?? 0);
  const s = BigInt(`0x${Buffer.from(der.subarray(rEnd + 2)).toString('hex')}`);
  const hex = (ORDER - s).toString(16);
  const bytes = Buffer.from(hex.length % 2 === 1 ? `0${hex}` : hex, 'hex');
  const signed = (bytes[0] ?? 0) >= 0x80 ? [0, ...bytes] : [...bytes];
  const body = [...der.subarray(2, rEnd), 2, signed.length, ...signed];
  return Uint8Array.of(0x30, body.length, ...body);
}

/** A token whose last block is signed by a key of that kind, and the same one with `change` in place of that signature. */
async function attenuatedBy(
  kind: 'ed25519' | 'p256',
  change: (signature: Uint8Array) => Uint8Array,
): Promise<readonly [asItCame: string, changed: string]> {
  const minted = await mint(KEY);
  const parts = takeApart(decodeToken(minted));
  const narrower = await attenuateToken(minted, [{ operations: ['propose'] }]);
  const content = bytesIn(
    takeApart(bytesIn(takeApart(decodeToken(narrower)), FIELD.block)),
    BLOCK_FIELD.content,
  );
  const authority = bytesIn(parts, FIELD.authority);
  const secret = bytesIn(takeApart(bytesIn(parts, FIELD.proof)), 1);
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), secret]);
  const holder = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  const [next, last] = [makeKey(kind), makeKey(kind)];
  const start = bytesIn(takeApart(authority), BLOCK_FIELD.signature);
  const first: Signed = { content, by: holder, next, after: start };
  const firstSignature = signBlock(first);
  const second: Signed = { content, by: next.privateKey, next: last, after: firstSignature };
  const textOf = (signature: Uint8Array) =>
    encodeToken(
      putTogether([
        { field: FIELD.authority, bytes: authority },
        packBlock(first, firstSignature),
        packBlock(second, signature),
        { field: FIELD.proof, bytes: putTogether([{ field: 1, bytes: last.secret }]) },
      ]),
    );
  const signature = signBlock(second);
  return [textOf(signature), textOf(change(signature))];
}

test('a block that a p-256 key signed is refused, as it came and with the other signature that holds', async (t) => {
  const { authority, ask } = await openTestAuthority(t, { keys: [KEY.key] });
  const library = await loadLibrary();
  const both = await attenuatedBy('p256', withOtherS);
  assert.notEqual(both[0], both[1]);
  for (const text of both) {
    // The library takes either.
    library.use((biscuit) => {
      using token = parse(biscuit, decodeToken(text), KEY.key);
      assert.equal(token?.countBlocks(), 3);
    });
    const refusal = {
      code: 'unauthenticated',
      message: /^expected blocks signed by ed25519 keys, got one with a signature of \d\d bytes$/,
    };
    await assert.rejects(authority().authenticate(text), refusal);
    await assert.rejects(openToken(text, KEY.key), refusal);
  }
  const [control] = await attenuatedBy('ed25519', (signature) => signature);
  assert.equal(await ask(control), 'allowed');
});
