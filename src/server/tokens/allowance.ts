/** What all blocks of a token together leave: for a person to read. A server asks the library instead. */
import type { Hash } from '../../core/hash.ts';
import type { Operation } from '../../http/authority.ts';
import type { Caveat } from './datalog.ts';
import type { Token } from './token.ts';

export interface Allowance {
  readonly registry: Hash;
  /** Empty: nothing at all. */
  readonly operations: readonly Operation[];
  /** `null`: every kind, and payloads without changes. */
  readonly kinds: readonly string[] | null;
  /** `null`: every id, and payloads without changes. */
  readonly idPrefix: string | null;
  /** `null`: every proposal. */
  readonly proposals: readonly Hash[] | null;
  /** Unix seconds. */
  readonly issued: number;
  readonly expires: number;
}

export function allowanceOf({ grant, attenuations, expires }: Token): Allowance {
  const caveats = [...grant.caveats, ...attenuations.flat()];
  const kinds = common(listsOf(caveats, (caveat) => ('kinds' in caveat ? caveat.kinds : null)));
  const proposals = common(
    listsOf(caveats, (caveat) => ('proposals' in caveat ? caveat.proposals : null)),
  );
  const operations = listsOf(caveats, (caveat) =>
    'operations' in caveat ? caveat.operations : null,
  );
  const idPrefix = longestPrefix(caveats);
  const isNothing = kinds?.length === 0 || proposals?.length === 0 || idPrefix === undefined;
  return {
    registry: grant.registry,
    operations: isNothing ? [] : (common([grant.scopes, ...operations]) ?? []),
    kinds,
    idPrefix: idPrefix ?? null,
    proposals,
    issued: grant.issued,
    expires,
  };
}

function listsOf<T>(
  caveats: readonly Caveat[],
  listOf: (caveat: Caveat) => readonly T[] | null,
): readonly (readonly T[])[] {
  return caveats.map(listOf).filter((list) => list !== null);
}

/** `null`: of no lists at all. */
function common<T>(lists: readonly (readonly T[])[]): readonly T[] | null {
  const [first, ...others] = lists;
  if (first === undefined) return null;
  return first.filter((value) => others.every((list) => list.includes(value)));
}

/** `null`: none is asked for; `undefined`: no id can begin with all of them. */
function longestPrefix(caveats: readonly Caveat[]): string | null | undefined {
  const prefixes = caveats.flatMap((caveat) => ('idPrefix' in caveat ? [caveat.idPrefix] : []));
  const longest = prefixes.toSorted((a, b) => b.length - a.length)[0];
  if (longest === undefined) return null;
  return prefixes.every((prefix) => longest.startsWith(prefix)) ? longest : undefined;
}
