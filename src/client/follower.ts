/**
 * Follows a registry: catches up, then listens. Events only say that there may be something; what is
 * yielded was asked for by version, verified and saved. So gaps, repeats and lies on the stream can
 * delay an update, and nothing else.
 */
import { RegistryError } from '../core/error.ts';
import type { Answers, ServedEntry } from './answers.ts';
import type { ClientOptions, Update, VerifiedEntry, VerifiedHead } from './client.ts';
import { type Clock, sleep } from './clock.ts';
import { readHints } from './event-stream.ts';
import { linkedEntries } from './linked-entries.ts';
import { provePastEntry } from './past-entries.ts';
import { jitteredDelayMs } from './retry.ts';
import type { RequestBounds } from './transport.ts';
import type { TrustedLog } from './trusted-log.ts';
import { headAfter, headOf, readTrustedEntry } from './trusted-state.ts';

const IDLE_MS = 45_000;
const DEFAULT_RETRY_MS = 1_000;
/** A server may ask for more patience or less, within these. */
const MIN_RETRY_MS = 500;
const MAX_RETRY_MS = 30_000;
const POLL_SECONDS = 30;
/** A proxy that buffers streams: after this many in a row gave nothing, heads are polled. */
const MAX_FAILED_STREAMS = 2;
/** Polls before the stream gets another chance. */
const POLLS = 10;
/** A server that does not wait when it is asked to is not asked more often than this. */
const MIN_POLL_MS = 1_000;

export interface FollowerOptions extends Pick<ClientOptions, 'onProgress'> {
  readonly log: TrustedLog;
  readonly answers: Answers;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly staleAfterMs: number;
}

/** Ends without an error when `signal` aborts; leaving the loop ends its requests too. */
export async function* follow(
  options: FollowerOptions,
  signal?: AbortSignal,
): AsyncGenerator<Update, void, void> {
  const left = new AbortController();
  const ended = signal === undefined ? left.signal : AbortSignal.any([signal, left.signal]);
  try {
    yield* new Follower(options, ended).updates();
  } catch (error) {
    if (!ended.aborted || error !== ended.reason) throw error;
  } finally {
    left.abort();
  }
}

class Follower {
  readonly #options: FollowerOptions;
  readonly #signal: AbortSignal;
  /** What was yielded last, or where following began; `null` before genesis. */
  #head: VerifiedHead | null = null;
  #heardAt = 0;
  #attempt = 0;
  #failedStreams = 0;
  #retryMs = DEFAULT_RETRY_MS;

  constructor(options: FollowerOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  async *updates(): AsyncGenerator<Update, never, void> {
    const chain = await this.#options.log.load(this.#signal);
    this.#head = chain === undefined ? null : headOf(chain);
    this.#heard();
    while (true) {
      let askedMs = 0;
      try {
        yield* this.#session();
      } catch (error) {
        askedMs = this.#passing(error);
      }
      await sleep(this.#options.clock, this.#delayMs(askedMs), this.#signal);
    }
  }

  get #version(): number {
    return this.#head?.version ?? -1;
  }

  /** Ends when the server ends it; whatever fails in it is thrown. */
  async *#session(): AsyncGenerator<Update, void, void> {
    yield* this.#catchUp();
    if (this.#failedStreams < MAX_FAILED_STREAMS) yield* this.#listen();
    else yield* this.#poll();
  }

  /** Up to the head, which is asked for each time: here a rollback or a fork shows. */
  async *#catchUp(wait?: { readonly seconds: number }): AsyncGenerator<Update, void, void> {
    const { log, answers, timeoutMs } = this.#options;
    const question =
      wait === undefined
        ? this.#bounds()
        : {
            ...this.#bounds(),
            timeoutMs: wait.seconds * 1000 + timeoutMs,
            wait: { after: this.#version, seconds: wait.seconds },
          };
    const claim = await log.claimedHead(question);
    const ask = (version: number) => answers.entries(version, this.#bounds());
    for await (const run of linkedEntries({ from: this.#version + 1, claim, ask }))
      for (const served of run) yield* this.#update(served, claim.version);
    this.#heard();
  }

  async *#listen(): AsyncGenerator<Update, void, void> {
    const { answers, clock, staleAfterMs } = this.#options;
    this.#failedStreams++;
    const body = await answers.stream(this.#version, this.#bounds());
    const hints = readHints(body, {
      clock,
      idleMs: Math.min(IDLE_MS, staleAfterMs),
      signal: this.#signal,
      onRetry: (retryMs) => {
        this.#retryMs = Math.max(MIN_RETRY_MS, Math.min(retryMs, MAX_RETRY_MS));
      },
    });
    for await (const hint of hints) {
      this.#failedStreams = 0;
      this.#attempt = 0;
      this.#heard();
      // The next session compares heads: a server that lost the cursor may have lost entries.
      if (hint.type !== 'head') return;
      if (hint.version === undefined || hint.version > this.#version) yield* this.#catchUp();
    }
  }

  async *#poll(): AsyncGenerator<Update, void, void> {
    const { clock, staleAfterMs } = this.#options;
    const seconds = Math.max(1, Math.min(POLL_SECONDS, Math.floor(staleAfterMs / 4_000)));
    for (let round = 0; round < POLLS; round++) {
      const before = { version: this.#version, ms: clock.now() };
      yield* this.#catchUp({ seconds });
      this.#attempt = 0;
      const tooSoonMs = MIN_POLL_MS - (clock.now() - before.ms);
      if (this.#version === before.version && tooSoonMs > 0)
        await sleep(clock, tooSoonMs, this.#signal);
    }
    this.#failedStreams = MAX_FAILED_STREAMS - 1;
  }

  /** One entry, believed and saved before it is yielded. */
  async *#update(served: ServedEntry, claimed: number): AsyncGenerator<Update, void, void> {
    const entry = await this.#verified(served);
    this.#head = headAfter(this.#head, entry);
    this.#options.onProgress?.({ version: entry.version, head: claimed });
    // Genesis is where following begins, not an update.
    if (entry.version > 0) yield { head: this.#head, entry };
    this.#signal.throwIfAborted();
    this.#heard();
  }

  async #verified(served: ServedEntry): Promise<VerifiedEntry> {
    const { log, answers } = this.#options;
    const bounds = this.#bounds();
    if (await log.accept(served, bounds)) return readTrustedEntry(served.bytes);
    // Another call on this client was ahead: the entry is trusted already, if it is the same one.
    return provePastEntry(served, { answers, hashes: log, bounds });
  }

  /** One attempt each: the session is repeated as a whole, and must end in time to say `stale`. */
  #bounds(): RequestBounds {
    const timeoutMs = Math.max(1, Math.min(this.#options.timeoutMs, this.#staleInMs()));
    return { signal: this.#signal, maxAttempts: 1, timeoutMs };
  }

  #heard(): void {
    this.#heardAt = this.#options.clock.now();
  }

  #staleInMs(): number {
    return this.#heardAt + this.#options.staleAfterMs - this.#options.clock.now();
  }

  #delayMs(askedMs: number): number {
    this.#attempt++;
    const bounds = { baseMs: this.#retryMs, maxMs: MAX_RETRY_MS };
    const delayMs = jitteredDelayMs(this.#options.clock, this.#attempt, bounds);
    return Math.max(0, Math.min(Math.max(delayMs, askedMs), this.#staleInMs()));
  }

  /**
   * How long the server asked to be left alone. Rethrows what repeating cannot mend; throws `stale`
   * when mending took too long.
   */
  #passing(error: unknown): number {
    if (this.#signal.aborted || !isPassing(error)) throw error;
    const { retry_after_ms: askedMs } = error.details;
    if (this.#staleInMs() > 0) return typeof askedMs === 'number' ? askedMs : 0;
    const { staleAfterMs } = this.#options;
    throw new RegistryError(
      'stale',
      `expected a sign of life within ${staleAfterMs} ms, got none since version ${this.#version}`,
      {
        cause: error,
        details: { version: this.#version },
      },
    );
  }
}

/** No answer, an answer of the wrong kind, or the server's own trouble; never a broken rule of the log. */
function isPassing(error: unknown): error is RegistryError {
  if (!(error instanceof RegistryError)) return false;
  const status = Number(error.details.status ?? 0);
  const isTold = error.code === 'not_initialised' || status === 429 || status >= 500;
  return isTold || error.code === 'unavailable' || error.code === 'unexpected_answer';
}
