/** Net changes between two versions. */
import { QUERIES, readQuery } from '../api/parameters.ts';
import { RegistryError } from '../core/error.ts';
import type { Asker, Difference, Registry } from '../registry/registry.ts';
import { Slots, Turns } from '../registry/slots.ts';
import { answerBytes } from './answer.ts';
import { askerOf, hungUp } from './asker.ts';
import { matchesEtag, notModified } from './conditional.ts';
import type { HttpDeps, HttpLimits } from './deps.ts';
import { isLong, streamDifference, wholeDifference } from './diff-body.ts';
import type { Handler } from './exchange.ts';
import { currentHead, noSuchVersion, placeOf, setAt } from './place.ts';

interface Range {
  readonly from: number;
  readonly to: number;
}

/** Each holds all values that differ. */
const MADE_AT_ONCE = 4;
/** Being made, or waiting for that. */
const ASKED = { inAll: 64, perAddress: 16 };
/** Being sent in pieces, as fast as their readers take them. */
const SENT = { inAll: 4, perAddress: 2 };

export function diffRoutes(
  deps: Pick<HttpDeps, 'registry' | 'clientAddress' | 'timers'>,
  limits: () => Pick<HttpLimits, 'slowAfterMs'>,
): { readonly readDifference: Handler } {
  const { registry } = deps;
  const asked = new Slots(() => ASKED, tooMany);
  const sent = new Slots(() => SENT, tooMany);
  const turns = new Turns(MADE_AT_ONCE);
  return {
    readDifference: async (c) => {
      const { from, to } = readQuery(QUERIES.diff, c.req.url);
      const place = placeOf(registry, to ?? 'head');
      const range = { from, to: place.version };
      const location = `/registry/diff?from=${from}&to=${place.version}`;
      const options = {
        caching: place.caching,
        etag: await etagOf(registry, range),
        headers: to === undefined ? { 'Content-Location': location } : {},
      };
      const isKnown = matchesEtag(c.req.header('If-None-Match'), options.etag);
      // One between sets that have lost a value may be refused, also to who has it: only reading it shows.
      if (isKnown && [from, range.to].every((version) => registry.reader.isWholeSet(version)))
        return notModified(answerBytes(null, options));
      const asker = askerOf(deps, c);
      const { address = '' } = asker;
      const release = asked.take(address);
      const body = await turns
        .run(async () => {
          const changes = await readChanges(registry, range, asker);
          const difference = { ...range, changes, origin: currentHead(registry).object.origin };
          if (!isLong(changes)) return wholeDifference(difference);
          const { slowAfterMs } = limits();
          const onEnd = sent.take(address);
          return streamDifference(difference, { timers: deps.timers, slowAfterMs, onEnd });
        })
        .finally(release);
      return { ...answerBytes(body, options), isGivenAway: true };
    },
  };
}

async function readChanges(
  registry: Registry,
  { from, to }: Range,
  asker: Asker,
): Promise<readonly Difference[]> {
  if (asker.signal?.aborted === true) throw hungUp();
  const changes = await registry.reader.diff({ from, to }, asker);
  if (changes === undefined) throw noSuchVersion(registry, Math.max(from, to));
  return changes;
}

function tooMany(limit: number, scope: string): RegistryError {
  return new RegistryError(
    'overloaded',
    `expected at most ${limit} differences at once ${scope}, got one more: repeat it later`,
    { details: { reason: 'differences', limit } },
  );
}

/** Two set roots say all that a difference depends on. */
async function etagOf(registry: Registry, { from, to }: Range): Promise<string> {
  const [before, after] = [await setAt(registry, from), await setAt(registry, to)];
  return `"${before.setRoot}.${from}.${after.setRoot}.${to}"`;
}
