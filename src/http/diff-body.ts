/**
 * The bytes of a difference, whole or in pieces: one canonical object around stored descriptor bytes. All of it was
 * verified before. A reader of pieces who takes none for a while is hung up, for what is left of it is held.
 */
import { encodeUtf8 } from '../core/bytes.ts';
import { canonicalText } from '../core/canonical.ts';
import { RegistryError } from '../core/error.ts';
import type { Difference } from '../registry/registry.ts';
import { concat, spliceObject } from './splice.ts';
import type { HttpTimers } from './timers.ts';

/** Longer ones come in pieces, as a page of entries is not longer either. */
const MAX_WHOLE_BYTES = 4 * 1024 * 1024;
/** At least, but for the last. */
const PIECE_BYTES = 64 * 1024;

export interface DifferenceBytes {
  readonly changes: readonly Difference[];
  readonly from: number;
  readonly to: number;
  readonly origin: string;
}

export interface SendingOptions {
  readonly timers: HttpTimers;
  readonly slowAfterMs: number;
  /** Nothing is held any more. May be called more than once. */
  readonly onEnd: () => void;
}

export function isLong(changes: readonly Difference[]): boolean {
  const bytes = changes.reduce(
    (sum, { before, after }) => sum + (before?.length ?? 0) + (after?.length ?? 0),
    0,
  );
  return bytes > MAX_WHOLE_BYTES;
}

export function wholeDifference(difference: DifferenceBytes): Uint8Array {
  return concat([...differencePieces(difference)]);
}

export function streamDifference(
  difference: DifferenceBytes,
  options: SendingOptions,
): ReadableStream<Uint8Array> {
  return streamPieces(differencePieces(difference), options);
}

function* differencePieces({
  changes,
  from,
  to,
  origin,
}: DifferenceBytes): Generator<Uint8Array, void> {
  let parts = [encodeUtf8('{"changes":[')];
  let bytes = 0;
  for (const [i, { kind, id, before, after }] of changes.entries()) {
    const item = spliceObject({ after, before, id, kind });
    parts.push(...(i === 0 ? [] : [COMMA]), item);
    bytes += item.length;
    if (bytes < PIECE_BYTES) continue;
    yield concat(parts);
    parts = [];
    bytes = 0;
  }
  parts.push(encodeUtf8(`],"from":${from},"origin":${canonicalText(origin)},"to":${to}}`));
  yield concat(parts);
}

function streamPieces(
  pieces: Iterator<Uint8Array, void>,
  { timers, slowAfterMs, onEnd }: SendingOptions,
): ReadableStream<Uint8Array> {
  let slow: unknown;
  const end = (): void => {
    timers.clearTimeout(slow);
    pieces.return?.();
    onEnd();
  };
  const giveUpLater = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    slow = timers.setTimeout(() => {
      end();
      controller.error(
        new RegistryError('overloaded', 'expected a reader of a difference to go on, got none', {
          details: { reason: 'slow' },
        }),
      );
    }, slowAfterMs);
  };
  return new ReadableStream<Uint8Array>(
    {
      start: giveUpLater,
      pull: (controller) => {
        timers.clearTimeout(slow);
        const { done, value } = pieces.next();
        if (done === true) {
          end();
          controller.close();
          return;
        }
        controller.enqueue(value);
        giveUpLater(controller);
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  );
}

const COMMA = encodeUtf8(',');
