/** From which version on the log is kept whole. */
import { QUERIES, readQuery } from '../api/parameters.ts';
import { canonicalBytes } from '../core/canonical.ts';
import type { Registry } from '../registry/registry.ts';
import { answerBytes } from './answer.ts';
import type { Handler } from './exchange.ts';
import { currentHead } from './place.ts';

export function retentionRoutes(registry: Registry): { readonly readRetention: Handler } {
  return {
    readRetention: (c) => {
      readQuery(QUERIES.none, c.req.url);
      const { object, version } = currentHead(registry);
      const { oldest, archive } = registry.retention();
      const { origin, registry: id, entry_hash } = object;
      const body = canonicalBytes({ archive, oldest, origin, registry: id, version });
      return answerBytes(body, { caching: 'head', etag: `"${entry_hash}.${oldest}"` });
    },
  };
}
