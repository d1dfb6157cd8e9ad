/** Entries from a version on, one a line, for readers that catch up. */
import { QUERIES, readQuery } from '../api/parameters.ts';
import { encodeUtf8 } from '../core/bytes.ts';
import { hashOf } from '../core/hash.ts';
import { type EntryBytes, entryHash } from '../core/leaf.ts';
import type { Registry } from '../registry/registry.ts';
import { answerBytes } from './answer.ts';
import type { Handler } from './exchange.ts';
import { concat } from './splice.ts';
import { encodeEntry } from './versions.ts';

const NEWLINE = encodeUtf8('\n');

export function entryRoutes(registry: Registry): { readonly readEntries: Handler } {
  return {
    readEntries: async (c) => {
      const range = readQuery(QUERIES.entries, c.req.url);
      const entries = await registry.reader.entries(range);
      const body = concat(entries.flatMap((entry) => [encodeEntry(entry), NEWLINE]));
      const last = entries.at(-1);
      // A page cut short by its size may be cut elsewhere by a later server, and the default limit
      // may change: only what the URL says in full is for ever.
      const isWhole = entries.length === range.limit && c.req.query('limit') !== undefined;
      return answerBytes(body, {
        mediaType: 'application/x-ndjson',
        caching: isWhole ? 'immutable' : 'none',
        ...(isWhole && last !== undefined && { etag: etagOf(entries, { ...range, last }) }),
      });
    },
  };
}

/** Of an erased entry the payload is gone from the page: the tag says which those are. */
function etagOf(
  entries: readonly EntryBytes[],
  { from, last }: { readonly from: number; readonly last: EntryBytes },
): string {
  const erased = entries.flatMap(({ payload }, i) => (payload.length === 0 ? [from + i] : []));
  const lost = erased.length === 0 ? '' : `.${hashOf(encodeUtf8(erased.join()))}`;
  return `"${entryHash(last.leaf)}.${from}${lost}"`;
}
