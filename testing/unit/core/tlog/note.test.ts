import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeBase64, encodeUtf8 } from '../../../../src/core/bytes.ts';
import {
  encodeNote,
  encodeSignature,
  isSignatureBy,
  MAX_NOTE_CHARACTERS,
  type NoteSignature,
  parseNote,
  parseSignatures,
} from '../../../../src/core/tlog/note.ts';
import { encodeVerifierKey, parseVerifierKey } from '../../../../src/core/vkey.ts';
import { refuses } from '../../../support/core-assert.ts';
import { ALICE } from '../../../support/core-registry.ts';

const BLOB = encodeBase64(encodeUtf8('key id and signature'));
const LINE = `\u2014 a.example ${BLOB}\n`;

function refused(note: string, message?: RegExp): void {
  refuses('invalid_checkpoint', () => parseNote(note), message);
}

test('the text ends at the last empty line, and keeps the ones before it', () => {
  const note = `one\n\ntwo\n\n${LINE}`;
  assert.equal(parseNote(note).text, 'one\n\ntwo\n');
  // Three line feeds: the last two end the text, so the text itself has an empty line at its end.
  assert.equal(parseNote(`one\n\n\n${LINE}`).text, 'one\n\n');
});

test('a signature line is a name, a key id and what follows it', () => {
  const [signature] = parseNote(`text\n\n${LINE}`).signatures;
  assert.deepEqual(signature, {
    name: 'a.example',
    keyId: Buffer.from('key ').toString('hex'),
    signature: encodeUtf8('id and signature'),
  });
  assert.equal(encodeSignature(signature!), LINE);
});

const signatureArbitrary: fc.Arbitrary<NoteSignature> = fc.record({
  name: fc.string({ minLength: 1, unit: 'binary' }).filter((name) => !/[+\s\p{Cc}]/u.test(name)),
  keyId: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((id) => Buffer.from(id).toString('hex')),
  signature: fc.uint8Array({ minLength: 1, maxLength: 70 }),
});
const textArbitrary = fc
  .array(fc.string({ unit: fc.constantFrom('a', '—', ' ', '+', '\n', 'é', '\u007f') }))
  .map((lines) => `a${lines.join('\n')}\n`);

test('a note is read back as it was written, to the same bytes', () => {
  fc.assert(
    fc.property(
      textArbitrary,
      fc.array(signatureArbitrary, { minLength: 1, maxLength: 5 }),
      (text, signatures) => {
        const note = encodeNote({ text, signatures });
        const parsed = parseNote(note);
        assert.equal(parsed.text, text);
        assert.equal(encodeNote(parsed), note);
        assert.equal(JSON.stringify(parsed.signatures), JSON.stringify(signatures));
      },
    ),
  );
});

test('a note without an end, a text or a signature is refused', () => {
  assert.ok(parseNote(`text\n\n${LINE}`));
  for (const note of [
    '',
    '\n',
    'text',
    'text\n',
    'text\n\n',
    `text\n\n${LINE}\n`,
    `text\n\n${LINE.slice(0, -1)}`,
    `text\n${LINE}`,
    `\n\n${LINE}`,
    `text\n\n${LINE}text\n`,
    `text\n\n${LINE}\n${LINE}text`,
    `text\r\n\r\n${LINE}`,
    LINE,
  ])
    refused(note, /expected a c2sp signed note/);
});

test('no control character but the line feed is in a note', () => {
  for (let code = 0; code < 0x20; code++) {
    const character = String.fromCharCode(code);
    if (character === '\n') continue;
    refused(`te${character}xt\n\n${LINE}`);
    refused(`text\n\n${LINE.replace('a.ex', `a${character}ex`)}`);
  }
  assert.ok(parseNote(`te\u007fxt\n\n${LINE}`));
});

test('each line below the text is a whole signature line', () => {
  const short = encodeBase64(encodeUtf8('key '));
  for (const line of [
    `- a.example ${BLOB}`,
    `\u2014a.example ${BLOB}`,
    `\u2014  a.example ${BLOB}`,
    `\u2014 a.example  ${BLOB}`,
    `\u2014 a.example ${BLOB} `,
    `\u2014 a.example`,
    `\u2014 a.example `,
    `\u2014 a+b.example ${BLOB}`,
    `\u2014 a\u2003b ${BLOB}`,
    `\u2014 a\u00a0b ${BLOB}`,
    `\u2014 a\u0085b ${BLOB}`,
    `\u2014 a\u2028b ${BLOB}`,
    `\u2014 a.example ${short}`,
    `\u2014 a.example ${BLOB.slice(0, -1)}`,
    `\u2014 a.example ${BLOB.replace('a', '-')}`,
    `\u2014 a.example AAAAAAB=`,
    ` ${LINE.slice(0, -1)}`,
  ]) {
    refused(`text\n\n${line}\n`);
    refused(`text\n\n${LINE}${line}\n`);
    refused(`text\n\n${line}\n${LINE}`);
  }
  assert.ok(parseNote(`text\n\n\u2014 a.example ${encodeBase64(encodeUtf8('key i'))}\n`));
});

test('a hundred signatures are read, one more is not', () => {
  assert.equal(parseNote(`text\n\n${LINE.repeat(100)}`).signatures.length, 100);
  refused(`text\n\n${LINE.repeat(101)}`, /101 signatures/);
});

test('a hundred signatures of the largest kind fit, and a longer note is not looked at', () => {
  const largest = { name: 'w'.repeat(100), keyId: '00000000', signature: new Uint8Array(2428) };
  const note = encodeNote({ text: 'text\n', signatures: new Array(100).fill(largest) });
  assert.equal(parseNote(note).signatures.length, 100);
  const start = `\n\n${LINE}`;
  const filled = 'a'.repeat(MAX_NOTE_CHARACTERS - start.length) + start;
  assert.equal(parseNote(filled).signatures.length, 1);
  refused(`a${filled}`, new RegExp(`${MAX_NOTE_CHARACTERS + 1} characters`));
});

test('signature lines alone are read as they are, none among them', () => {
  assert.deepEqual(parseSignatures(''), []);
  assert.equal(parseSignatures(LINE + LINE).length, 2);
  for (const lines of ['\n', `${LINE}\n`, LINE.slice(0, -1), `text\n${LINE}`])
    refuses('invalid_checkpoint', () => parseSignatures(lines));
});

test('a signature is by a key of the same name and id', () => {
  const { publicKey } = ALICE;
  const key = parseVerifierKey(encodeVerifierKey({ name: 'a.example', publicKey }));
  assert.ok(key);
  const signature = { ...key, signature: new Uint8Array(64) };
  assert.ok(isSignatureBy(signature, key));
  assert.ok(!isSignatureBy({ ...signature, name: 'b.example' }, key));
  assert.ok(!isSignatureBy({ ...signature, keyId: '00000000' }, key));
});
