/** The newest entry: published bytes as they are, or a wait for newer ones. */
import type { Caching } from '../api/caching.ts';
import { QUERIES, readQuery } from '../api/parameters.ts';
import type { PublishedHead, Registry } from '../registry/registry.ts';
import { type Answer, answerBytes } from './answer.ts';
import type { HttpDeps } from './deps.ts';
import type { Handler } from './exchange.ts';
import { currentHead, notInitialised } from './place.ts';
import type { StreamSlots } from './stream-slots.ts';

export function headRoutes(
  { registry, clientAddress }: Pick<HttpDeps, 'registry' | 'clientAddress'>,
  slots: StreamSlots,
): { readonly readHead: Handler } {
  return {
    readHead: (c) => {
      const { url } = c.req;
      // Most requests by far: nothing is parsed for them.
      if (!url.includes('?')) return answerHead(currentHead(registry), 'head');
      const { after, wait = 0 } = readQuery(QUERIES.head, url);
      if (after === undefined) return answerHead(currentHead(registry), 'head');
      const isNewer = (registry.head()?.version ?? -1) > after;
      if (isNewer || wait === 0) return answerHead(currentHead(registry), 'none');
      const release = slots.take(clientAddress(c));
      return waitForHead(registry, {
        after,
        waitMs: wait * 1_000,
        signal: c.req.raw.signal,
      }).finally(release);
    },
  };
}

/** The current head when the time is up: the reader compares versions, as it must anyway. */
async function waitForHead(
  registry: Registry,
  options: Parameters<Registry['waitForHead']>[0],
): Promise<Answer> {
  const head = await registry.waitForHead(options);
  if (head === undefined) throw notInitialised();
  return answerHead(head, 'none');
}

function answerHead({ bytes, etag }: PublishedHead, caching: Caching): Answer {
  return answerBytes(bytes, { caching, etag });
}
