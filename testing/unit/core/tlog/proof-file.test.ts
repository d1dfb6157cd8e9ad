import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeBase64 } from '../../../../src/core/bytes.ts';
import {
  encodeProofFile,
  type ProofFile,
  parseProofFile,
} from '../../../../src/core/tlog/proof-file.ts';
import { refuses } from '../../../support/core-assert.ts';

const HASH = encodeBase64(new Uint8Array(32).fill(1));
const HEADER = 'c2sp.org/tlog-proof@v1';
const NOTE = 'o\n8\nroot\n\n\u2014 o signature\n';

const fileArbitrary: fc.Arbitrary<ProofFile> = fc.record(
  {
    index: fc.maxSafeNat(),
    proof: fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 63 }),
    note: fc.constantFrom(NOTE, '', `\n\n${NOTE}`),
    extra: fc.uint8Array({ maxLength: 40 }),
  },
  { noNullPrototype: true, requiredKeys: ['index', 'proof', 'note'] },
);

test('a proof file is read back as it was written', () => {
  fc.assert(
    fc.property(fileArbitrary, (file) => {
      const text = encodeProofFile(file);
      assert.deepEqual(parseProofFile(text), file);
      assert.equal(encodeProofFile(parseProofFile(text)), text);
    }),
  );
});

test('what a writer adds stands before the index, and an empty addition is kept', () => {
  const file = { index: 5, proof: [], note: NOTE, extra: Uint8Array.of(1, 2) };
  assert.equal(encodeProofFile(file), `${HEADER}\nextra AQI=\nindex 5\n\n${NOTE}`);
  assert.deepEqual(parseProofFile(`${HEADER}\nextra \nindex 5\n\n`).extra, new Uint8Array());
  assert.ok(!('extra' in parseProofFile(`${HEADER}\nindex 5\n\n${NOTE}`)));
});

test('every other text is refused', () => {
  assert.ok(parseProofFile(`${HEADER}\nindex 5\n${HASH}\n\n${NOTE}`));
  for (const head of [
    '',
    HEADER,
    `${HEADER} \nindex 5`,
    `${HEADER}\r\nindex 5`,
    'c2sp.org/tlog-proof@v2\nindex 5',
    'index 5',
    `${HEADER}\nindex`,
    `${HEADER}\nindex 05`,
    `${HEADER}\nindex -5`,
    `${HEADER}\nindex 5 `,
    `${HEADER}\nindex 9007199254740992`,
    `${HEADER}\nindex 99999999999999999`,
    `${HEADER}\nindex 5\nextra AQI=`,
    `${HEADER}\nextra AQI=\nextra AQI=\nindex 5`,
    `${HEADER}\nextra AQI\nindex 5`,
    `${HEADER}\nextra\nindex 5`,
    `${HEADER}\nextra AQI= \nindex 5`,
    `${HEADER}\nindex 5\n${HASH.slice(4)}`,
    `${HEADER}\nindex 5\n${HASH} `,
    `${HEADER}\nindex 5\n${HASH}${`\n${HASH}`.repeat(63)}`,
    `${HEADER}\n${HASH}\nindex 5`,
  ])
    refuses('malformed', () => parseProofFile(`${head}\n\n${NOTE}`), /tlog-proof@v1 text/);
  for (const text of ['', HEADER, `${HEADER}\nindex 5`, `${HEADER}\nindex 5\n`])
    refuses('malformed', () => parseProofFile(text));
});
