/** The newest entry: published bytes as they are, or a wait for newer ones. */
import { QUERIES, readQuery } from '../api/parameters.ts';
import type { PublishedHead, Registry } from '../registry/registry.ts';
import { type Answer, answerBytes } from './answer.ts';
import type { HttpDeps } from './deps.ts';
import type { Handler } from './exchange.ts';
import { currentHead, notInitialised } from './place.ts';
import type { ReadyAnswers } from './ready-answers.ts';
import type { StreamSlots } from './stream-slots.ts';

export function headRoutes(
  { registry, clientAddress }: Pick<HttpDeps, 'registry' | 'clientAddress'>,
  { slots, ready }: { readonly slots: StreamSlots; readonly ready: ReadyAnswers },
): { readonly readHead: Handler } {
  return {
    readHead: (c) => {
      const { url } = c.req;
      // Most requests by far: nothing is parsed for them.
      if (!url.includes('?')) return readyHead(ready);
      const { after, wait = 0 } = readQuery(QUERIES.head, url);
      if (after === undefined) return readyHead(ready);
      const isNewer = (registry.head()?.version ?? -1) > after;
      if (isNewer || wait === 0) return answerUncached(currentHead(registry));
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
  return answerUncached(head);
}

function readyHead(ready: ReadyAnswers): Answer {
  const head = ready.head();
  if (head === undefined) throw notInitialised();
  return head.answer;
}

function answerUncached({ bytes, etag }: PublishedHead): Answer {
  return answerBytes(bytes, { caching: 'none', etag });
}
