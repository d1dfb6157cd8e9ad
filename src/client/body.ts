/** Reads an answer's body within bounds: a server decides what it sends, not how much of it is kept. */
import { RegistryError } from '../core/error.ts';

export interface BodyLimits {
  /** Of decoded content: a compressed bomb counts as what it becomes. */
  readonly maxBytes: number;
  /** `cut` keeps the first `maxBytes` and leaves the rest unread; `refuse` throws `unexpected_answer`. */
  readonly whenLarger: 'refuse' | 'cut';
  readonly signal: AbortSignal;
}

export interface Body {
  readonly bytes: Uint8Array;
  readonly isCut: boolean;
}

/** Rejects with the signal's reason when it aborts, also when the stream itself does not listen to it. */
export async function readBody(
  stream: ReadableStream<Uint8Array> | null,
  limits: BodyLimits,
): Promise<Body> {
  if (stream === null) return { bytes: new Uint8Array(), isCut: false };
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunksOf(stream, limits.signal)) {
    const room = limits.maxBytes - length;
    if (chunk.length > room && limits.whenLarger === 'refuse')
      throw new RegistryError(
        'unexpected_answer',
        `expected an answer of at most ${limits.maxBytes} bytes, got more`,
        { details: { max_bytes: limits.maxBytes } },
      );
    chunks.push(chunk.subarray(0, room));
    length += Math.min(chunk.length, room);
    if (chunk.length > room) return { bytes: join(chunks, length), isCut: true };
  }
  return { bytes: join(chunks, length), isCut: false };
}

/** Chunk by chunk; whoever stops reading, or aborts, also ends the stream at its source. */
export async function* chunksOf(
  stream: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const reader = stream.getReader();
  // What a source says while it is being left is of no interest.
  const leave = (): Promise<void> => reader.cancel(signal.reason).catch(() => undefined);
  const abort = (): void => void leave();
  signal.addEventListener('abort', abort, { once: true });
  try {
    while (true) {
      signal.throwIfAborted();
      const { done, value } = await reader.read();
      // A cancelled reader says `done`; that must not pass for the end of the answer.
      signal.throwIfAborted();
      if (done) return;
      yield value;
    }
  } finally {
    signal.removeEventListener('abort', abort);
    await leave();
  }
}

function join(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
