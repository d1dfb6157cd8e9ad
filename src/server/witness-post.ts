/** Asks a witness over HTTP: one POST, no redirect followed, bounded in time and in what is read. */
import { decodeUtf8 } from '../core/bytes.ts';
import { RegistryError } from '../core/error.ts';
import type { Post } from '../registry/witness.ts';

const MAX_ANSWER_BYTES = 64 * 1024;

export const postToWitness: Post = async (url, body, { signal, timeoutMs }) => {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'text/plain; charset=utf-8' },
    body,
    // Another host is no witness of ours: a redirect is an answer like any other.
    redirect: 'manual',
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  });
  const text = decodeUtf8(await readBounded(response));
  return {
    status: response.status,
    contentType: response.headers.get('content-type'),
    retryAfter: response.headers.get('retry-after'),
    body: text,
  };
};

async function readBounded({ body }: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    // Leaving the loop ends the connection.
    if (bytes > MAX_ANSWER_BYTES)
      throw new RegistryError(
        'unexpected_answer',
        `expected an answer of at most ${MAX_ANSWER_BYTES} bytes, got more`,
      );
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
