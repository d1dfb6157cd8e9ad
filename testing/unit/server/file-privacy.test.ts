import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isExposed } from '../../../src/server/file-privacy.ts';

const OWN = 10_001;

function modes(uid: number, ownUid: number | undefined): string[] {
  const all = Array.from({ length: 0o1000 }, (_, mode) => mode);
  return all
    .filter((mode) => !isExposed({ mode: 0o100000 | mode, uid }, ownUid))
    .filter((mode) => (mode & 0o700) === 0o400)
    .map((mode) => mode.toString(8));
}

test('a secret of its own is for its owner alone, whoever that is', () => {
  assert.deepEqual(modes(OWN, OWN), ['400']);
  assert.deepEqual(modes(0, 0), ['400']);
  assert.deepEqual(modes(OWN + 1, OWN), ['400']);
  assert.deepEqual(modes(OWN, undefined), ['400']);
});

test('a secret that root gave to a group may be read by it, and no more, by no one else', () => {
  assert.deepEqual(modes(0, OWN), ['400', '440']);
});
