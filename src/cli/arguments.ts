/** What arguments look like: `kind/id` (an id may hold slashes of its own), versions, counts. */
import { InvalidArgumentError } from 'commander';
import { ID, KIND } from '../core/check.ts';

export function parseKey(text: string): { readonly kind: string; readonly id: string } {
  const slash = text.indexOf('/');
  const kind = text.slice(0, Math.max(slash, 0));
  const id = text.slice(slash + 1);
  if (!KIND.test(kind)) throw new InvalidArgumentError(`Expected KIND/ID with ${KIND.expected}.`);
  if (!ID.test(id)) throw new InvalidArgumentError(`Expected KIND/ID with ${ID.expected}.`);
  return { kind, id };
}

/** An option's or argument's parser. */
export function parseVersion(text: string): number {
  if (!/^(0|[1-9]\d{0,15})$/.test(text) || !Number.isSafeInteger(Number(text)))
    throw new InvalidArgumentError('Expected a version: 0, 1, 2, ...');
  return Number(text);
}

/** At least 1. */
export function parseCount(text: string): number {
  const count = /^[1-9]\d{0,8}$/.test(text) ? Number(text) : 0;
  if (count === 0) throw new InvalidArgumentError('Expected a number from 1 up.');
  return count;
}
