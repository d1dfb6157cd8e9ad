/** Where two JSON values differ, member by member. Pure. */
import { canonicalText, type Json } from '../core/canonical.ts';

/** `undefined`: nothing stands there. */
export interface JsonDifference {
  /** A JSON pointer (RFC 6901); empty for the whole value. */
  readonly pointer: string;
  readonly before: Json | undefined;
  readonly after: Json | undefined;
}

export function jsonDifferences(
  before: Json | undefined,
  after: Json | undefined,
  pointer = '',
): readonly JsonDifference[] {
  const old = membersOf(before);
  const next = membersOf(after);
  if (old === undefined || next === undefined || Array.isArray(before) !== Array.isArray(after))
    return isSame(before, after) ? [] : [{ pointer, before, after }];
  return [...new Set([...old.keys(), ...next.keys()])].flatMap((name) =>
    jsonDifferences(old.get(name), next.get(name), `${pointer}/${escapePointer(name)}`),
  );
}

function membersOf(value: Json | undefined): Map<string, Json> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  return new Map(Object.entries(value));
}

function isSame(a: Json | undefined, b: Json | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return canonicalText(a) === canonicalText(b);
}

function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}
