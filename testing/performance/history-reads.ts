/** The kinds of reads that are held against the same at a short log. */

/** Where in a log one request asks. */
export interface Place {
  readonly version: number;
  /** Of the descriptor that the entry at `version` put. */
  readonly id: string;
  /** The newest version now. */
  readonly head: number;
}

export interface ReadKind {
  readonly name: string;
  readonly path: (place: Place) => string;
  /** The set's tree at that version is made first, which may take seconds: few are asked for. */
  readonly isSlow?: boolean;
}

/** Not whole sets: what they cost is their size. Where an answer may be long, as much is asked for at both. */
export const READ_KINDS: readonly ReadKind[] = [
  { name: 'head', path: () => '/registry/head' },
  { name: 'checkpoint', path: () => '/checkpoint' },
  { name: 'the newest version', path: ({ head }) => `/registry/${head}` },
  { name: 'a version', path: ({ version }) => `/registry/${version}` },
  { name: 'a descriptor', path: ({ id }) => `/registry/head/descriptors/service/${id}` },
  {
    name: 'a descriptor with its proof',
    path: ({ id }) => `/registry/head/descriptors/service/${id}?proof=1`,
  },
  {
    name: 'a descriptor at the version before',
    path: ({ head, id }) => `/registry/${head - 1}/descriptors/service/${id}`,
  },
  {
    name: 'a descriptor at an old version',
    path: ({ version, id }) => `/registry/${version}/descriptors/service/${id}`,
    isSlow: true,
  },
  {
    name: 'history of a descriptor, newest value',
    path: ({ id }) => `/registry/history/service/${id}?limit=1`,
  },
  { name: 'governance', path: ({ version }) => `/registry/${version}/governance` },
  {
    name: 'diff of the newest neighbours',
    path: ({ head }) => `/registry/diff?from=${head - 1}&to=${head}`,
  },
  {
    name: 'diff of old neighbours',
    path: ({ version }) => `/registry/diff?from=${version - 1}&to=${version}`,
    isSlow: true,
  },
  {
    name: 'a page of 20 entries',
    path: ({ version, head }) => `/registry/entries?from=${Math.min(version, head - 19)}&limit=20`,
  },
  {
    name: 'inclusion proof',
    path: ({ version, head }) => `/registry/proof/inclusion/${version}/${head + 1}`,
  },
  {
    name: 'consistency proof',
    path: ({ version, head }) => `/registry/proof/consistency/${version}/${head + 1}`,
  },
  { name: 'proof of an entry', path: ({ version }) => `/registry/${version}/tlog-proof` },
];
