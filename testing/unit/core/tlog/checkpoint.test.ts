import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeBase64 } from '../../../../src/core/bytes.ts';
import { encodeCheckpoint, parseCheckpoint } from '../../../../src/core/tlog/checkpoint.ts';
import { refuses } from '../../../support/core-assert.ts';

const root = new Uint8Array(32).fill(3);
const ROOT = encodeBase64(root);

test('a checkpoint is three lines and is read back from them', () => {
  for (const size of [0, 1, 70_000, 2 ** 53 - 1]) {
    const text = encodeCheckpoint({ origin: 'registry.example/main', size, root });
    assert.equal(text, `registry.example/main\n${size}\n${ROOT}\n`);
    assert.deepEqual(parseCheckpoint(text), { origin: 'registry.example/main', size, root });
  }
});

test('extension lines are read over, empty ones are not', () => {
  const expected = { origin: 'o', size: 5, root };
  assert.deepEqual(parseCheckpoint(`o\n5\n${ROOT}\nmore\nand more\n`), expected);
  for (const extensions of ['\n', 'more\n\n', '\nmore\n', 'more'])
    refuses('invalid_checkpoint', () => parseCheckpoint(`o\n5\n${ROOT}\n${extensions}`));
});

test('every other text is refused', () => {
  assert.ok(parseCheckpoint(`o\n5\n${ROOT}\n`));
  const sizes = ['', '05', '-1', '+5', '5.0', '1e3', '0x5', ' 5', '5 ', '٥', '9007199254740992'];
  const roots = [ROOT.slice(4), ROOT.slice(0, -1), `${ROOT.slice(0, -1)}A`, '', ` ${ROOT}`];
  for (const text of [
    ...sizes.map((size) => `o\n${size}\n${ROOT}\n`),
    ...roots.map((each) => `o\n5\n${each}\n`),
    `o\n99999999999999999\n${ROOT}\n`,
    `\n5\n${ROOT}\n`,
    `o\n5\n${ROOT}`,
    `o\n5\n`,
    'o\n',
    '\n',
    '',
    `o\n5\n${ROOT}\r\n`,
    `o\n5\n${encodeBase64(new Uint8Array(31))}\n`,
    `o\n5\n${encodeBase64(new Uint8Array(33))}\n`,
  ])
    refuses('invalid_checkpoint', () => parseCheckpoint(text), /origin, size and root/);
});
