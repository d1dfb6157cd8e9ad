/** Entries from a version on, one a line, for readers that catch up. */
import { QUERIES, readQuery } from '../api/parameters.ts';
import { encodeUtf8 } from '../core/bytes.ts';
import { entryHash } from '../core/leaf.ts';
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
        ...(isWhole && last !== undefined && { etag: `"${entryHash(last.leaf)}.${range.from}"` }),
      });
    },
  };
}
