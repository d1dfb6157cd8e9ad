/** Net changes between two versions. */
import { QUERIES, readQuery } from '../api/parameters.ts';
import type { Asker, Registry } from '../registry/registry.ts';
import { answerBytes } from './answer.ts';
import { askerOf } from './asker.ts';
import { matchesEtag, notModified } from './conditional.ts';
import type { HttpDeps } from './deps.ts';
import type { Handler } from './exchange.ts';
import { currentHead, noSuchVersion, placeOf, setAt } from './place.ts';
import { spliceObject } from './splice.ts';

interface Range {
  readonly from: number;
  readonly to: number;
}

export function diffRoutes(deps: Pick<HttpDeps, 'registry' | 'clientAddress'>): {
  readonly readDifference: Handler;
} {
  const { registry } = deps;
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
      return answerBytes(await encodeDifference(registry, range, askerOf(deps, c)), options);
    },
  };
}

async function encodeDifference(
  registry: Registry,
  { from, to }: Range,
  asker: Asker,
): Promise<Uint8Array> {
  const changes = await registry.reader.diff({ from, to }, asker);
  if (changes === undefined) throw noSuchVersion(registry, Math.max(from, to));
  return spliceObject({
    changes: changes.map(({ kind, id, before, after }) =>
      spliceObject({ after, before, id, kind }),
    ),
    from,
    origin: currentHead(registry).object.origin,
    to,
  });
}

/** Two set roots say all that a difference depends on. */
async function etagOf(registry: Registry, { from, to }: Range): Promise<string> {
  const [before, after] = [await setAt(registry, from), await setAt(registry, to)];
  return `"${before.setRoot}.${from}.${after.setRoot}.${to}"`;
}
