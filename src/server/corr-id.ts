/**
 * Correlation ids made here: 32 random hex digits. Many are drawn at once and each is a string of its own:
 * `randomUUID` joins its from 20 pieces, 400 bytes that were a third of all the garbage of a plain read.
 */
import { randomBytes } from 'node:crypto';

export const CORR_ID_LENGTH = 32;

const DRAWN = 1_024;

let digits = Buffer.alloc(0);
let next = 0;

export function newCorrId(): string {
  if (next === digits.length) {
    digits = Buffer.from(randomBytes((DRAWN * CORR_ID_LENGTH) / 2).toString('hex'), 'latin1');
    next = 0;
  }
  const id = digits.toString('latin1', next, next + CORR_ID_LENGTH);
  next += CORR_ID_LENGTH;
  return id;
}
