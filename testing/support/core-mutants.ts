/** Payloads that are nearly right, from a seed: members taken away, replaced, misspelt; bytes changed. */
import fc from 'fast-check';
import { canonicalBytes } from '../../src/core/canonical.ts';

const REPLACEMENTS: readonly unknown[] = [
  ...[null, true, 0, 1, -1, 2, 1.5, 255, 256, 2 ** 53, '', 'x', '..', 'a/b', '\u200b', 'é', [], {}],
  ...['genesis', 'descriptors', 'governance', 'supersede', 'put', 'remove', 'DataError', '1.0.0'],
  ...['erase', 'Secret', 'Other'],
  ...['2026-11-21T09:00:00.000Z', '2026-12-21T09:00:00.000Z', '2026-12-21T09:00:00.001Z'],
  ...[
    '0000-02-29T00:00:00.000Z',
    '2026-02-29T00:00:00.000Z',
    'org:a#b',
    'AAAA',
    `b3:${'0'.repeat(64)}`,
  ],
];
const INSERTIONS = ['', '0', '/', 'A', '=', '\n', '\u2028', '😀'] as const;

interface Edit {
  readonly at: number;
  readonly kind: 'delete' | 'replace' | 'add' | 'misspell';
  readonly value: unknown;
  readonly insertion: string;
}

const editArbitrary: fc.Arbitrary<Edit> = fc.record({
  at: fc.nat(1000),
  kind: fc.constantFrom('delete', 'replace', 'add', 'misspell'),
  value: fc.constantFrom(...REPLACEMENTS),
  insertion: fc.constantFrom(...INSERTIONS),
});

type Container = Record<string, unknown>;

/** Canonical bytes of one of `bases` after one or two edits, and at times with one byte changed. */
export function mutantArbitrary(bases: readonly unknown[]): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(
      fc.constantFrom(...bases),
      fc.array(editArbitrary, { maxLength: 2 }),
      fc.option(fc.tuple(fc.nat(10_000), fc.nat(255)), { freq: 1 }),
    )
    .map(([base, edits, change]) => {
      const value = structuredClone(base);
      for (const each of edits) edit(value, each);
      const bytes = canonicalBytes(value);
      if (change !== null) bytes[change[0] % bytes.length] = change[1];
      return bytes;
    });
}

function edit(value: unknown, { at, kind, value: replacement, insertion }: Edit): void {
  const places = placesIn(value);
  const place = places[at % places.length];
  if (place === undefined) return;
  const [container, name] = place;
  const current = container[name];
  if (kind === 'delete' && !Array.isArray(container)) delete container[name];
  else if (kind === 'add' && !Array.isArray(container)) container[`${name}x`] = replacement;
  else if (kind === 'misspell' && typeof current === 'string') {
    const middle = at % (current.length + 1);
    container[name] = current.slice(0, middle) + insertion + current.slice(middle);
  } else container[name] = replacement;
}

function placesIn(value: unknown): (readonly [Container, string])[] {
  if (typeof value !== 'object' || value === null) return [];
  const container = value as Container;
  return Object.keys(container).flatMap((name) => [
    [container, name] as const,
    ...placesIn(container[name]),
  ]);
}
