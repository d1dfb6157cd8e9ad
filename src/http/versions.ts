/** One entry, and the governance after it. */
import { PATHS, QUERIES, readParameters, readQuery } from '../api/parameters.ts';
import { canonicalBytes } from '../core/canonical.ts';
import { governanceHash } from '../core/governance.ts';
import type { EntryBytes } from '../core/leaf.ts';
import type { Registry } from '../registry/registry.ts';
import { type Answer, answerBytes } from './answer.ts';
import type { Handler } from './exchange.ts';
import { currentHead, noSuchVersion, type Place, placeOf } from './place.ts';
import type { ReadyAnswers } from './ready-answers.ts';
import { spliceObject } from './splice.ts';

export interface VersionRoutes {
  readonly readEntry: Handler;
  readonly readHeadEntry: Handler;
  readonly readGovernance: Handler;
}

export function versionRoutes(registry: Registry, ready: ReadyAnswers): VersionRoutes {
  return {
    readEntry: async (c) => {
      readQuery(QUERIES.none, c.req.url);
      const { version } = readParameters(PATHS.version, c.req.param(), 'path');
      const known = ready.version(version);
      if (known !== undefined) return known.answer;
      const retention = registry.retention();
      return ready.keepVersion(version, { ...(await entryAt(registry, version)), retention })
        .answer;
    },
    readHeadEntry: async (c) => {
      readQuery(QUERIES.none, c.req.url);
      const { version, caching, locate } = placeOf(registry, 'head');
      const { bytes, etag } = await entryAt(registry, version);
      return answerBytes(bytes, { caching, etag, headers: locate('') });
    },
    readGovernance: async (c) => {
      readQuery(QUERIES.none, c.req.url);
      const { version } = readParameters(PATHS.versionOrHead, c.req.param(), 'path');
      return answerGovernance(registry, placeOf(registry, version));
    },
  };
}

/** The stored bytes of an entry as one canonical object; the payload of an erased one is null. */
export function encodeEntry({ approvals, leaf, payload }: EntryBytes): Uint8Array {
  return spliceObject({ approvals, leaf, payload: payload.length === 0 ? null : payload });
}

async function entryAt(
  registry: Registry,
  version: number,
): Promise<{ readonly bytes: Uint8Array; readonly etag: string }> {
  const entry = await registry.reader.entry(version);
  if (entry === undefined) throw noSuchVersion(registry, version);
  return { bytes: encodeEntry(entry), etag: `"${entry.entryHash}"` };
}

async function answerGovernance(registry: Registry, place: Place): Promise<Answer> {
  const found = await registry.reader.governance(place.version);
  if (found === undefined) throw noSuchVersion(registry, place.version);
  const { version, governance } = found;
  const { origin } = currentHead(registry).object;
  return answerBytes(spliceObject({ governance: canonicalBytes(governance), origin, version }), {
    caching: place.caching,
    etag: `"${governanceHash(governance)}.${version}"`,
    headers: place.locate('/governance'),
  });
}
