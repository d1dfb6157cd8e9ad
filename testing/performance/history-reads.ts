/** The kinds of reads that are held against the same at a short log. */

/** Where in a log one request asks. */
export interface Place {
  readonly version: number;
  /** Of the descriptor that the entry at `version` put. */
  readonly id: string;
  /** Of the log as it was made. */
  readonly size: number;
  /** The newest version now. */
  readonly head: number;
}

export interface ReadKind {
  readonly name: string;
  readonly path: (place: Place) => string;
  /** It takes seconds: few are asked for. */
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
    name: 'a descriptor at an old version',
    path: ({ version, id }) => `/registry/${version}/descriptors/service/${id}`,
  },
  {
    name: 'a descriptor with its proof at an old version',
    path: ({ version, id }) => `/registry/${version}/descriptors/service/${id}?proof=1`,
    isSlow: true,
  },
  {
    name: 'history of a descriptor, newest value',
    path: ({ id }) => `/registry/history/service/${id}?limit=1`,
  },
  { name: 'governance', path: ({ version }) => `/registry/${version}/governance` },
  {
    name: 'diff of neighbours',
    path: ({ version }) => `/registry/diff?from=${version - 1}&to=${version}`,
  },
  {
    name: 'a page of 20 entries',
    path: ({ version, size }) => `/registry/entries?from=${Math.min(version, size - 20)}&limit=20`,
  },
  {
    name: 'inclusion proof',
    path: ({ version, size }) => `/registry/proof/inclusion/${version}/${size}`,
  },
  {
    name: 'consistency proof',
    path: ({ version, size }) => `/registry/proof/consistency/${version}/${size}`,
  },
  { name: 'proof of an entry', path: ({ version }) => `/registry/${version}/tlog-proof` },
];
