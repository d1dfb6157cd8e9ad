/**
 * A server that has forgotten payloads, as one that erases and prunes answers: made from one that has them
 * all. The real one is in the scenarios; this one also tells lies.
 */
import { canonicalText } from '../../src/core/canonical.ts';
import { lines } from './client-lies.ts';
import type { Lie } from './client-server.ts';

export interface Gone {
  /** Erased version, and the version that erased it. */
  readonly erased?: ReadonlyMap<number, number>;
  /** Versions, both ends included, at which an erased value stood in the set, and the next whole one. */
  readonly unwhole?: readonly { readonly from: number; readonly to: number }[];
  /** Below it everything is pruned but what set the governance. */
  readonly oldest?: number;
  /** Versions that set the governance. */
  readonly governance?: readonly number[];
  readonly archive?: string | null;
}

/** `inner`: what would be answered if nothing were gone. */
export function forgetting(gone: Gone, inner: Lie = (_path, honest) => honest()): Lie {
  return async (path, honest, request) => {
    const { pathname, searchParams } = new URL(path, 'http://log');
    if (pathname === '/registry/entries') {
      const from = Number(searchParams.get('from'));
      if (from < (gone.oldest ?? 0)) return pruned(from, gone);
      return withoutPayloads(await inner(path, honest, request), gone);
    }
    const [, version = '', rest = ''] =
      /^\/registry\/(\d+)(\/set|\/set\/hashes|\/descriptors\/.*)?$/.exec(pathname) ?? [];
    if (version === '') return inner(path, honest, request);
    const at = Number(version);
    const isKept = rest === '' && (gone.governance ?? [0]).includes(at);
    if (at < (gone.oldest ?? 0) && !isKept) return pruned(at, gone);
    const by = gone.erased?.get(at);
    if (rest === '' && by !== undefined) return problem('erased', { version: at, erased_by: by });
    const unwhole = gone.unwhole?.find(({ from, to }) => from <= at && at <= to);
    if (rest === '/set' && unwhole !== undefined)
      return problem('erased', { version: at, erased_by: 0, next: unwhole.to + 1 });
    const answer = await inner(path, honest, request);
    return rest.startsWith('/descriptors/') ? unlessErased(answer, gone) : answer;
  };
}

async function withoutPayloads(answer: Response, { erased }: Gone): Promise<Response> {
  const text = await answer.text();
  const entries = text
    .trimEnd()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
  return lines(
    entries.map((entry) => (erased?.has(entry.leaf.version) ? { ...entry, payload: null } : entry)),
  );
}

/** A value that an erased entry put. */
async function unlessErased(answer: Response, { erased }: Gone): Promise<Response> {
  const { set_version: put, version } = await answer.clone().json();
  const by = erased?.get(put);
  return by === undefined ? answer : problem('erased', { version, erased_by: by });
}

function pruned(version: number, { oldest = 0, archive = null }: Gone): Response {
  return problem('pruned', { version, oldest, archive });
}

export function problem(code: 'erased' | 'pruned', details: object): Response {
  const body = { code, detail: `expected it, got word that it is ${code}`, details, status: 410 };
  return new Response(canonicalText(body), {
    status: 410,
    headers: { 'content-type': 'application/problem+json' },
  });
}
