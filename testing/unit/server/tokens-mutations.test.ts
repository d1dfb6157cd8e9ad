/**
 * A token is taken as it was minted and attenuated, or not at all: bytes changed, blocks taken away,
 * moved, exchanged, signed by others. After every campaign the untouched token is still taken.
 */
import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { attenuateToken } from '../../../src/server/tokens/make.ts';
import { decodeToken, encodeToken } from '../../../src/server/tokens/token.ts';
import { makeRandom } from '../../support/random.ts';
import {
  BLOCK_FIELD,
  bytesIn,
  FIELD,
  type Part,
  putTogether,
  takeApart,
  withPart,
} from '../../support/token-parts.ts';
import {
  appendRaw,
  HOUR,
  ISSUED,
  makeTokenKey,
  mint,
  openTestAuthority,
  PROPOSAL,
} from '../../support/tokens.ts';

const KEY = makeTokenKey();
const IS_LONG = process.env.QUORATE_TEST_LONG === '1';

/** Every caveat, in every block there can be one. */
async function makeRich(): Promise<string> {
  const minted = await mint(KEY, {
    caveats: [{ kinds: ['route', 'service'] }, { idPrefix: 'acme/' }, { proposals: [PROPOSAL] }],
  });
  const once = await attenuateToken(minted, [{ operations: ['propose', 'commit'] }]);
  return attenuateToken(once, [
    { kinds: ['route', 'service', 'zone'] },
    { expires: ISSUED + HOUR },
  ]);
}

/** Asks for each of the mutants; whoever is taken is told by name. */
async function assertAllRefused(
  t: TestContext,
  control: string,
  mutants: Iterable<readonly [name: string, text: string]>,
): Promise<number> {
  const { authority, records } = await openTestAuthority(t, { keys: [KEY.key] });
  let count = 0;
  for (const [name, text] of mutants) {
    assert.notEqual(text, control, `${name} changed nothing`);
    await assert.rejects(authority().authenticate(text), { code: 'unauthenticated' }, name);
    count++;
  }
  await authority().authenticate(control);
  // The library refused each in its own words: it never broke.
  assert.deepEqual(
    records.filter(({ level }) => level === 'error'),
    [],
  );
  return count;
}

function* ofBytes(
  bytes: Uint8Array,
  changes: Iterable<readonly [string, Uint8Array]>,
): Generator<readonly [string, string]> {
  for (const [name, changed] of changes) {
    if (Buffer.from(changed).equals(bytes)) continue;
    yield [name, encodeToken(changed)];
  }
}

test('a token with any one bit flipped is refused', async (t) => {
  const control = await makeRich();
  const bytes = decodeToken(control);
  function* flips(): Generator<readonly [string, Uint8Array]> {
    for (let at = 0; at < bytes.length; at++)
      for (let bit = 0; bit < 8; bit++) {
        const changed = Uint8Array.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ (1 << bit);
        yield [`bit ${bit} of byte ${at}`, changed];
      }
  }
  const count = await assertAllRefused(t, control, ofBytes(bytes, flips()));
  assert.equal(count, bytes.length * 8);
});

test('a token cut short, or with a byte taken away, put in or moved, is refused', async (t) => {
  const control = await makeRich();
  const bytes = decodeToken(control);
  function* edits(): Generator<readonly [string, Uint8Array]> {
    for (let at = 0; at <= bytes.length; at++) {
      const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
      yield [`the first ${at} bytes`, before];
      yield [`without the first ${at} bytes`, after];
      yield [`without byte ${at}`, Uint8Array.of(...before, ...after.subarray(1))];
      for (const byte of IS_LONG ? [0x00, 0x08, 0x12, 0x1a, 0x28, 0xff] : [0x12])
        yield [`${byte} put in at ${at}`, Uint8Array.of(...before, byte, ...after)];
      const swapped = [...after.subarray(1, 2), ...after.subarray(0, 1), ...after.subarray(2)];
      yield [`bytes ${at} and ${at + 1} exchanged`, Uint8Array.of(...before, ...swapped)];
    }
  }
  const count = await assertAllRefused(t, control, ofBytes(bytes, edits()));
  assert.ok(count > bytes.length * 4, `${count}`);
});

test('a token changed at random in many places is refused', async (t) => {
  const control = await makeRich();
  const bytes = decodeToken(control);
  const random = makeRandom(4);
  const below = (end: number) => Math.floor(random() * end);
  const total = IS_LONG ? 100_000 : 3_000;
  function* campaign(): Generator<readonly [string, Uint8Array]> {
    for (let i = 0; i < total; i++) {
      const changed = [...bytes];
      for (let edits = 1 + below(6); edits > 0; edits--) {
        const at = below(changed.length);
        const length = 1 + below(40);
        const act = below(4);
        if (act === 0) changed.splice(at, length);
        else if (act === 1)
          changed.splice(at, 0, ...changed.slice(below(changed.length)).slice(0, length));
        else if (act === 2) changed.splice(at, 1, below(256));
        else changed.splice(at, length, ...Array.from({ length }, () => below(256)));
      }
      yield [`mutant ${i}`, Uint8Array.from(changed)];
    }
  }
  const count = await assertAllRefused(t, control, ofBytes(bytes, campaign()));
  assert.ok(count > total * 0.99, `${count}`);
});

test('a token has one text', async (t) => {
  // 3n + 1 bytes: two digits of padding, and four bits that mean nothing.
  const lengths = ['a', 'aa', 'aaa'].map((kind) => mint(KEY, { caveats: [{ kinds: [kind] }] }));
  const control = (await Promise.all(lengths)).find((text) => /[^=]==$/.test(text));
  assert.ok(control !== undefined);
  const bare = control.slice(0, -2);
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const last = digits.indexOf(bare.slice(-1));
  assert.equal(last % 16, 0);
  const standard = control.replaceAll('-', '+').replaceAll('_', '/');
  await assertAllRefused(t, control, [
    ['no padding', bare],
    ['half the padding', `${bare}=`],
    ['more padding', `${control}=`],
    ['more digits', `${control}AAAA`],
    ...(standard === control ? [] : [['the standard alphabet', standard] as const]),
    ['a new line at the end', `${control}\n`],
    ['a blank before', ` ${control}`],
    ['a new line inside', `${control.slice(0, 76)}\n${control.slice(76)}`],
    ['a name in front', `biscuit:${control}`],
    ['nothing', ''],
    ['very much', 'A'.repeat(1_000_000)],
    ['twice', control + control],
    ...Array.from(
      { length: 15 },
      (_, i) => [`unused bits ${i + 1}`, `${bare.slice(0, -1)}${digits[last + i + 1]}==`] as const,
    ),
  ]);
});

const isBlock = ({ field }: Part) => field === FIELD.block;

test('blocks cannot be taken away, doubled, moved or exchanged', async (t) => {
  const control = await makeRich();
  const [parts, others] = [control, await makeRich()].map((text) => takeApart(decodeToken(text)));
  assert.ok(parts !== undefined && others !== undefined);
  assert.deepEqual(
    parts.map(({ field }) => field),
    [FIELD.authority, FIELD.block, FIELD.block, FIELD.proof],
  );
  assert.equal(encodeToken(putTogether(parts)), control);
  const whole = takeApart(decodeToken(await mint(KEY)));
  const [authority, first, second, proof] = parts;
  const [otherAuthority, otherFirst, , otherProof] = others;
  const [wholeAuthority, wholeProof] = whole;
  const all = { authority, first, second, proof, otherAuthority, otherFirst, otherProof };
  assert.ok(Object.values(all).every((part) => part !== undefined));
  const rebuilt: Record<string, readonly (Part | undefined)[]> = {
    'no attenuation': [authority, proof],
    'without the first attenuation': [authority, second, proof],
    'without the second attenuation': [authority, first, proof],
    'the attenuations exchanged': [authority, second, first, proof],
    'an attenuation twice': [authority, first, first, second, proof],
    'an attenuation in place of the grant': [{ ...first, field: FIELD.authority }, second, proof],
    'the grant as an attenuation too': [authority, { ...authority, field: FIELD.block }, proof],
    'the grant of another token': [otherAuthority, first, second, proof],
    'a wider grant': [wholeAuthority, first, second, proof],
    'a wider grant alone': [wholeAuthority, proof],
    'a wider grant with its proof': [wholeAuthority, first, second, wholeProof],
    'an attenuation of another token': [authority, otherFirst, second, proof],
    'the proof of another token': [authority, first, second, otherProof],
    'no proof': [authority, first, second],
    'two proofs': [authority, first, second, proof, proof],
    'no grant': [first, second, proof],
    'two grants': [wholeAuthority, authority, first, second, proof],
    'packed in another order': [proof, authority, first, second],
    'a root key id': [{ field: FIELD.rootKeyId, value: 0 }, authority, first, second, proof],
    'a member that means nothing': [authority, first, second, proof, { field: 9, value: 1 }],
    'a version that means nothing': [
      ...withPart(parts, FIELD.authority, (block) =>
        putTogether([...takeApart(block), { field: BLOCK_FIELD.version, value: 0 }]),
      ),
    ],
    'an unknown member of a block': [
      ...withPart(parts, FIELD.block, (block) =>
        putTogether([...takeApart(block), { field: 9, value: 1 }]),
      ),
    ],
  };
  await assertAllRefused(
    t,
    control,
    Object.entries(rebuilt).map(([name, some]) => {
      const kept = some.filter((part): part is Part => part?.field !== undefined);
      return [name, encodeToken(putTogether(kept))] as const;
    }),
  );
  assert.equal(parts.filter(isBlock).length, 2);
});

/** As Biscuit signs a block of version 0. */
function signBlock(block: Uint8Array, privateKey: Parameters<typeof sign>[2]): Uint8Array {
  const fields = takeApart(block);
  const nextKey = bytesIn(takeApart(bytesIn(fields, BLOCK_FIELD.nextKey)), 2);
  const message = Buffer.concat([bytesIn(fields, BLOCK_FIELD.content), Buffer.alloc(4), nextKey]);
  const signature = Uint8Array.from(sign(null, message, privateKey));
  return putTogether(withPart(fields, BLOCK_FIELD.signature, () => signature));
}

test('a block that another key signed is refused, and so is what was signed for another place', async (t) => {
  const control = await makeRich();
  const parts = takeApart(decodeToken(control));
  const { privateKey } = generateKeyPairSync('ed25519');
  const signed = (key: typeof privateKey, field: number) =>
    encodeToken(putTogether(withPart(parts, field, (block) => signBlock(block, key))));
  // The same signature again, by the key that made it: what differs below is the key alone.
  assert.equal(signed(KEY.privateKey, FIELD.authority), control);
  const secret = bytesIn(takeApart(bytesIn(parts, FIELD.proof)), 1);
  const holder = createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), secret]),
    format: 'der',
    type: 'pkcs8',
  });
  await assertAllRefused(t, control, [
    ['the grant, by a stranger', signed(privateKey, FIELD.authority)],
    ['the grant, by the holder', signed(holder, FIELD.authority)],
    ['the attenuations, by a stranger', signed(privateKey, FIELD.block)],
    ['the attenuations, by the holder', signed(holder, FIELD.block)],
    ['the attenuations, by the root key', signed(KEY.privateKey, FIELD.block)],
  ]);
});

test('what a holder appends to widen a token makes it worth nothing', async (t) => {
  const control = await mint(KEY, { scopes: ['propose'], expires: ISSUED + 60 });
  const widening = [
    'scope("commit")',
    'scope("propose")',
    `registry("b3:${'00'.repeat(32)}")`,
    `expires(${ISSUED + HOUR})`,
    `issued(${ISSUED})`,
    'operation("propose")',
    'kind("service")',
    'id_prefix("acme/")',
    'now(0)',
    'to_registry("b3:00")',
    'scope($s) <- operation($s)',
    'scope("commit") <- scope("propose")',
    'operation("propose") <- operation($o)',
    'check if true',
    'check if scope("commit") or true',
    'check if operation("propose") or true',
    'check if operation("propose") trusting previous',
    `check if now($now), $now < ${ISSUED + 60} || true`,
  ];
  const mutants = await Promise.all(
    widening.map(async (code) => [code, await appendRaw(control, KEY, `${code};`)] as const),
  );
  assert.equal(await assertAllRefused(t, control, mutants), widening.length);
});
