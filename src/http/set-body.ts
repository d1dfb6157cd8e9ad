/** The bytes of a set: one canonical object around stored descriptor bytes, whole or in pieces. */
import { encodeUtf8 } from '../core/bytes.ts';
import { canonicalText } from '../core/canonical.ts';
import type { SetAnswer } from '../registry/registry.ts';
import { concat } from './splice.ts';

/** `undefined` once it is larger than `maxBytes`; the rest is not read. */
export async function collectSet(
  set: SetAnswer,
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

/** A page is read from the store when the client has taken the one before. */
export function streamSet(set: SetAnswer, origin: string): ReadableStream<Uint8Array> {
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

async function* setParts(set: SetAnswer, origin: string): AsyncGenerator<Uint8Array, undefined> {
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
