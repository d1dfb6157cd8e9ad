/** Content codings (RFC 9110 12.5.3): which representation of a body a client gets. */
import { CODINGS, type Coding } from './deps.ts';

export type Representation = Coding | 'identity';

/**
 * What the client accepts, best first: by its weights, then in our order. Identity stands last among
 * equals and is always there, also when refused: bytes nobody asked for beat no answer.
 */
export function acceptedCodings(acceptEncoding: string | undefined): readonly Representation[] {
  const weights = readWeights(acceptEncoding ?? '');
  const weightOf = (coding: Coding): number => weights.get(coding) ?? weights.get('*') ?? 0;
  // Unnamed, identity is acceptable but wanted less than anything that was named.
  const identity = weights.get('identity') ?? 0;
  const wanted = CODINGS.filter((coding) => weightOf(coding) > 0 && weightOf(coding) >= identity);
  const sorted = wanted.sort((a, b) => weightOf(b) - weightOf(a));
  return [...sorted, 'identity'];
}

/** A strong tag names bytes, so each coding of a body has one. `opaque`: names the body as it is. */
export function codedEtag(opaque: string, coding: Representation): string {
  return `"${opaque}${coding === 'identity' ? '' : `.${coding}`}"`;
}

/** What a negotiated answer says of its coding. */
export function codingHeaders(coding: Representation): Readonly<Record<string, string>> {
  return {
    Vary: 'Accept-Encoding',
    ...(coding !== 'identity' && { 'Content-Encoding': coding }),
  };
}

function readWeights(acceptEncoding: string): ReadonlyMap<string, number> {
  const weights = new Map<string, number>();
  for (const element of acceptEncoding.split(',')) {
    const match =
      /^\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:;\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?$/i.exec(
        element,
      );
    const [, name, weight = '1'] = match ?? [];
    if (name !== undefined) weights.set(aliasOf(name.toLowerCase()), Number(weight));
  }
  return weights;
}

/** RFC 9110 8.4.1.3 */
function aliasOf(coding: string): string {
  return coding === 'x-gzip' ? 'gzip' : coding;
}
