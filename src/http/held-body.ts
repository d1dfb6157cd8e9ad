/**
 * A body that keeps its place until it has ended, broken off or was given up: what it holds, it holds so long.
 * So its reader is to get on, and not only to read now and then.
 */
import type { HttpTimers } from './timers.ts';

/** 3.4 KB/s: a place for 20 MB is free again within two hours. Longer than any pause of a reader that gets on. */
const LEAST_BYTES = 1024 * 1024;
const LEAST_EVERY_MS = 300_000;

export interface HeldBodyOptions {
  /** May be called more than once. */
  readonly release: () => void;
  readonly timers: HttpTimers;
  /** Destroys the connection. */
  readonly hangUp: () => void;
}

/** The pieces are passed on as they are. */
export function heldBody(
  body: ReadableStream<Uint8Array>,
  { release, timers, hangUp }: HeldBodyOptions,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let taken = 0;
  let timer: unknown;
  const end = (): void => {
    timers.clearTimeout(timer);
    release();
  };
  const watch = (): void => {
    timer = timers.setTimeout(() => {
      if (taken < LEAST_BYTES) {
        hangUp();
        return;
      }
      taken = 0;
      watch();
    }, LEAST_EVERY_MS);
  };
  watch();
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        try {
          const { done, value } = await reader.read();
          taken += value?.length ?? 0;
          if (!done) return controller.enqueue(value);
          controller.close();
        } catch (cause) {
          controller.error(cause);
        }
        end();
      },
      cancel: (reason) => reader.cancel(reason).finally(end),
    },
    { highWaterMark: 0 },
  );
}
