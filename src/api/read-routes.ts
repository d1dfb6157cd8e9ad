/** The routes that read the log and what it produced. */
import { EXAMPLES } from './examples.ts';
import { HEADERS, PATHS, QUERIES } from './parameters.ts';
import type { Route } from './route.ts';
import {
  DescriptorAtVersion,
  DescriptorSet,
  Difference,
  Entry,
  GovernanceAtVersion,
  Head,
  History,
  RetentionAnswer,
  SetHashes,
  StreamUpdate,
} from './schemas.ts';

const json = 'application/json';

export const READ_ROUTES = {
  readHead: {
    method: 'get',
    path: '/registry/head',
    tag: 'read',
    summary: 'The newest entry',
    description:
      'With `after` and `wait` a long poll: answers as soon as a head newer than `after` is visible, and with the current head (compare `version`) when the time is up; never cached then. A long poll counts as a stream against the caps.',
    caching: 'head',
    query: QUERIES.head,
    answers: {
      200: { description: 'The head.', mediaType: json, schema: Head, example: EXAMPLES.head },
    },
    errors: ['not_initialised', 'too_many_streams'],
  },
  readHeadEntry: {
    method: 'get',
    path: '/registry/head/entry',
    tag: 'read',
    summary: 'The entry at the head',
    caching: 'head',
    query: QUERIES.none,
    answers: {
      200: {
        description: 'The entry; `Content-Location` names its version.',
        mediaType: json,
        schema: Entry,
        example: EXAMPLES.entry,
      },
    },
    errors: ['not_initialised'],
  },
  readDifference: {
    method: 'get',
    path: '/registry/diff',
    tag: 'read',
    summary: 'Net changes between two versions',
    description:
      'Few are made at once: `overloaded` says to repeat it. A long one comes without `Content-Length`; one that breaks off is none.',
    caching: 'range',
    query: QUERIES.diff,
    answers: {
      200: {
        description: 'What differs, by kind, then id. Either version may be the older.',
        mediaType: json,
        schema: Difference,
        example: EXAMPLES.difference,
      },
    },
    errors: ['not_initialised', 'pruned', 'erased'],
  },
  readEntries: {
    method: 'get',
    path: '/registry/entries',
    tag: 'read',
    summary: 'Entries from a version on, for catching up',
    description:
      'One entry a line, ascending; empty past the head. The payload of an erased entry is null. A page may hold fewer than `limit` entries: go on after the last one.',
    caching: 'range',
    query: QUERIES.entries,
    answers: {
      200: {
        description: 'Lines of entries. Immutable when `limit` was given and reached.',
        mediaType: 'application/x-ndjson',
        schema: Entry,
        example: EXAMPLES.entry,
      },
    },
    errors: ['pruned'],
  },
  readHistory: {
    method: 'get',
    path: '/registry/history/{kind}/{id}',
    tag: 'read',
    summary: 'Every value one descriptor had',
    description:
      'An answer may hold fewer than `limit` values: go on with `before`, the `set_version` of the last one. One without items is the end.',
    caching: 'head',
    params: PATHS.history,
    query: QUERIES.history,
    answers: {
      200: {
        description: 'Newest first, at most `limit`; empty when there was none.',
        mediaType: json,
        schema: History,
        example: EXAMPLES.history,
      },
    },
    errors: ['not_initialised'],
  },
  readRetention: {
    method: 'get',
    path: '/registry/retention',
    tag: 'read',
    summary: 'From which version on the log is kept whole',
    description:
      'Payloads and approvals of versions below `oldest` are pruned, save those of genesis, governance and erase entries; reading them is 410. Leaves, tiles and proofs stay. `archive` is what the operator says of where older entries are.',
    caching: 'head',
    query: QUERIES.none,
    answers: {
      200: {
        description: 'What is kept.',
        mediaType: json,
        schema: RetentionAnswer,
        example: EXAMPLES.retention,
      },
    },
    errors: ['not_initialised'],
  },
  followStream: {
    method: 'get',
    path: '/registry/stream',
    tag: 'follow',
    summary: 'New versions as server-sent events',
    description:
      'Without a cursor the head comes first. With `Last-Event-ID` or `after` exactly the versions after it are replayed, then live. `registry.update` carries the version as `id`; `registry.progress` is a heartbeat, and comes at once when the checkpoint has got new cosignatures; `registry.reset` means that the cursor is not in the log, or that what follows it was pruned; after `registry.closing`, reconnect.',
    caching: 'none',
    query: QUERIES.stream,
    headers: HEADERS.stream,
    answers: {
      200: {
        description: 'Events without end; the schema is that of `registry.update` data.',
        mediaType: 'text/event-stream',
        schema: StreamUpdate,
      },
    },
    errors: ['too_many_streams'],
  },
  readEntry: {
    method: 'get',
    path: '/registry/{version}',
    tag: 'read',
    summary: 'One entry',
    description: 'The ETag is the entry hash.',
    caching: 'immutable',
    params: PATHS.version,
    query: QUERIES.none,
    answers: {
      200: { description: 'The entry.', mediaType: json, schema: Entry, example: EXAMPLES.entry },
    },
    errors: ['pruned', 'erased'],
  },
  readSet: {
    method: 'get',
    path: '/registry/{version}/set',
    tag: 'read',
    summary: 'The descriptor set at a version',
    caching: 'version',
    params: PATHS.versionOrHead,
    query: QUERIES.none,
    answers: {
      200: {
        description: 'All descriptors; br, zstd or gzip when accepted.',
        mediaType: json,
        schema: DescriptorSet,
        example: EXAMPLES.set,
      },
    },
    errors: ['not_initialised', 'pruned', 'erased'],
  },
  readSetHashes: {
    method: 'get',
    path: '/registry/{version}/set/hashes',
    tag: 'read',
    summary: 'The hashes of the descriptor set at a version',
    description:
      'What the set root is made of, also where values in the set were erased: with it a reader goes on verifying.',
    caching: 'version',
    params: PATHS.versionOrHead,
    query: QUERIES.none,
    answers: {
      200: {
        description: 'Path and value hash of every descriptor; br, zstd or gzip when accepted.',
        mediaType: json,
        schema: SetHashes,
        example: EXAMPLES.setHashes,
      },
    },
    errors: ['not_initialised', 'pruned'],
  },
  readGovernance: {
    method: 'get',
    path: '/registry/{version}/governance',
    tag: 'read',
    summary: 'The governance after a version',
    caching: 'version',
    params: PATHS.versionOrHead,
    query: QUERIES.none,
    answers: {
      200: {
        description: 'In force for the entry after this version.',
        mediaType: json,
        schema: GovernanceAtVersion,
        example: EXAMPLES.governance,
      },
    },
    errors: ['not_initialised'],
  },
  readDescriptor: {
    method: 'get',
    path: '/registry/{version}/descriptors/{kind}/{id}',
    tag: 'read',
    summary: 'One descriptor at a version, with a proof if wanted',
    description:
      'An absent descriptor is 404; with `proof=1` it is 200 with a null descriptor and the proof of its absence. Under `head` a proof also ties the set root to the checkpoint; that answer changes with the checkpoint and has no `Content-Location`.',
    caching: 'version',
    params: PATHS.descriptor,
    query: QUERIES.descriptor,
    answers: {
      200: {
        description: 'The descriptor, or the proof that it is absent.',
        mediaType: json,
        schema: DescriptorAtVersion,
        example: EXAMPLES.descriptor,
      },
    },
    errors: ['not_initialised', 'pruned', 'erased'],
  },
} as const satisfies Record<string, Route>;
