/** Net changes between two versions. */
import { QUERIES, readQuery } from '../api/parameters.ts';
import type { Difference, Registry } from '../registry/registry.ts';
import { type Answer, answerBytes } from './answer.ts';
import type { Handler } from './exchange.ts';
import { currentHead, noSuchVersion, placeOf, setRootAt } from './place.ts';
import { spliceObject } from './splice.ts';

export function diffRoutes(registry: Registry): { readonly readDifference: Handler } {
  return {
    readDifference: async (c) => {
      const { from, to } = readQuery(QUERIES.diff, c.req.url);
      const place = placeOf(registry, to ?? 'head');
      const range = { from, to: place.version };
      const etag = await etagOf(registry, range);
      const changes = await registry.reader.diff(range);
      if (changes === undefined) throw noSuchVersion(registry, Math.max(from, place.version));
      return answerDifference(registry, { ...range, changes, etag, caching: place.caching });
    },
  };
}

function answerDifference(
  registry: Registry,
  answer: {
    readonly from: number;
    readonly to: number;
    readonly changes: readonly Difference[];
    readonly etag: string;
    readonly caching: 'immutable' | 'head' | 'none';
  },
): Answer {
  const { from, to, changes, etag, caching } = answer;
  const { origin } = currentHead(registry).object;
  const body = spliceObject({
    changes: changes.map(({ kind, id, before, after }) =>
      spliceObject({ after, before, id, kind }),
    ),
    from,
    origin,
    to,
  });
  const location = `/registry/diff?from=${from}&to=${to}`;
  const headers = caching === 'head' ? { 'Content-Location': location } : {};
  return answerBytes(body, { caching, etag, headers });
}

/** Two set roots say all that a difference depends on. */
async function etagOf(
  registry: Registry,
  { from, to }: { from: number; to: number },
): Promise<string> {
  const [before, after] = [await setRootAt(registry, from), await setRootAt(registry, to)];
  return `"${before}.${from}.${after}.${to}"`;
}
