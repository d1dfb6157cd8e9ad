/** Time, chance and giving up: what the client takes from the world besides `fetch`, so that tests can drive it. */

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls once after `delayMs`; the answer cancels. */
  after(delayMs: number, call: () => void): () => void;
  /** From 0 up to, not including, 1. */
  random(): number;
}

export function systemClock(now: () => number = Date.now): Clock {
  return {
    now,
    after: (delayMs, call) => {
      const timer = setTimeout(call, delayMs);
      return () => clearTimeout(timer);
    },
    random: Math.random,
  };
}

/** Rejects with the signal's reason when it aborts first; leaves no timer behind. */
export async function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = clock.after(delayMs, resolve);
  try {
    await abortable(promise, signal);
  } finally {
    cancel();
  }
}

/** `promise`, or a rejection with the signal's reason as soon as it aborts; the work behind it goes on. */
export async function abortable<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
