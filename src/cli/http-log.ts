/** A log as a service serves it: its C2SP routes and its entries, read strictly and believed by nobody yet. */
import { Answers } from '../client/answers.ts';
import { systemClock } from '../client/clock.ts';
import { Transport } from '../client/transport.ts';
import type { EntryBytes } from '../core/leaf.ts';
import type { Context } from './context.ts';
import type { LogSource } from './log-source.ts';
import { sayRetry } from './say-retry.ts';

const TIMEOUT_MS = 30_000;
export const MAX_ATTEMPTS = 4;

export function createTransport({
  io,
  globals,
  say,
}: Pick<Context, 'io' | 'globals' | 'say'>): Transport {
  return new Transport({
    url: globals.url,
    fetch: io.fetch ?? globalThis.fetch,
    clock: systemClock(io.now),
    timeoutMs: TIMEOUT_MS,
    maxAttempts: MAX_ATTEMPTS,
    onRetry: sayRetry({ globals, say }),
  });
}

export function openHttpLog(context: Pick<Context, 'io' | 'globals' | 'say'>): LogSource {
  const answers = new Answers(createTransport(context));
  // A search for governance entries comes back to the same ones.
  const entries = new Map<number, Promise<EntryBytes>>();
  const leaves = new Map<number, Promise<Uint8Array>>();
  return {
    note: () => answers.checkpoint({ isFresh: true }),
    entry: (version) => {
      const known = entries.get(version) ?? answers.entry(version).then(({ bytes }) => bytes);
      entries.set(version, known);
      return known;
    },
    leaf: (place) => {
      const known = leaves.get(place.version) ?? answers.leaf(place);
      leaves.set(place.version, known);
      return known;
    },
    inclusionProof: (place) => answers.inclusionProof(place),
    [Symbol.asyncDispose]: async () => {},
  };
}
