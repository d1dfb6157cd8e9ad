/** Bytes as they come, cut into lines. A last one without its line feed is told apart: a writer may be at it. */
import { MAX_LINE_BYTES } from './record.ts';

export interface Line {
  /** Without its line feed; of a torn line at most so much that it is known to be too long. */
  readonly bytes: Uint8Array;
  readonly isTorn: boolean;
}

const LINE_FEED = 0x0a;

/** Holds one line at a time, and no more of it than a record may have. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  let rest: Uint8Array = new Uint8Array(0);
  for await (const chunk of chunks) {
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, from);
      if (end === -1) break;
      yield { bytes: joined(rest, chunk.subarray(from, end)), isTorn: false };
      rest = new Uint8Array(0);
      from = end + 1;
    }
    rest = joined(rest, chunk.subarray(from));
    // What follows does not matter: no record is that long.
    if (rest.length > MAX_LINE_BYTES) rest = rest.subarray(0, MAX_LINE_BYTES + 1);
  }
  if (rest.length > 0) yield { bytes: rest, isTorn: true };
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
