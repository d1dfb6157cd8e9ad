/** The bytes of a set: one canonical object around stored descriptor bytes or hashes, whole or in pieces. */
import { encodeUtf8 } from '../core/bytes.ts';
import { canonicalBytes, canonicalText } from '../core/canonical.ts';
import { formatHash } from '../core/hash.ts';
import type { SetLeaf } from '../core/set-rows.ts';
import type { SetAnswer } from '../registry/registry.ts';
import type { PreparedSet } from './prepared-sets.ts';
import { concat } from './splice.ts';

/** What an answer is made of; `pages` has the items, each canonical. */
export type SetBytes = Pick<SetAnswer, 'pages' | 'setRoot' | 'version'>;

/** `undefined` once it is larger than `maxBytes`; the rest is not read. */
export async function collectSet(
  set: SetBytes,
  origin: string,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of setParts(set, origin)) {
    size += part.length;
    if (size > maxBytes) return undefined;
    parts.push(part);
  }
  return concat(parts);
}

/** The same of a set that is prepared. */
export async function readWhole(
  { bytes, body }: PreparedSet,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  if (bytes > maxBytes) {
    await body.cancel();
    return undefined;
  }
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  return concat(parts);
}

/** A page is read from the store when the client has taken the one before. */
export function streamSet(set: SetBytes, origin: string): ReadableStream<Uint8Array> {
  const parts = setParts(set, origin);
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const { done, value } = await parts.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: async () => {
        await parts.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

const HASHES_AT_ONCE = 1_000;

/** A set's hashes as items of an answer. */
export async function* hashItems(
  leaves: Iterable<SetLeaf>,
): AsyncGenerator<readonly Uint8Array[], void, void> {
  let page: Uint8Array[] = [];
  for (const { path, valueHash } of leaves) {
    const item = { path: formatHash(path), value_hash: formatHash(valueHash) };
    page.push(canonicalBytes(item));
    if (page.length < HASHES_AT_ONCE) continue;
    yield page;
    page = [];
  }
  yield page;
}

/** For whoever writes them elsewhere. */
export async function* setParts(
  set: SetBytes,
  origin: string,
): AsyncGenerator<Uint8Array, undefined> {
  yield encodeUtf8('{"items":[');
  let isFirst = true;
  for await (const page of set.pages) {
    const items = page.flatMap((bytes) => [COMMA, bytes]);
    const [comma, ...rest] = items;
    if (comma === undefined) continue;
    yield concat(isFirst ? rest : items);
    isFirst = false;
  }
  const { setRoot, version } = set;
  yield encodeUtf8(
    `],"origin":${canonicalText(origin)},"set_root":${canonicalText(setRoot)},"version":${version}}`,
  );
}

const COMMA = encodeUtf8(',');
