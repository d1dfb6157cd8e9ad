/**
 * Follows a registry: catches up, then listens. An event says that there may be something and carries
 * the checkpoint of it, which is judged like any other; what is yielded was asked for by version,
 * verified and saved. So gaps and repeats on the stream can delay an update, and nothing else.
 */
import { RegistryError } from '../core/error.ts';
import type { Answers } from './answers.ts';
import type { ProvenClaim } from './claims.ts';
import type { ClientOptions, PrunedGap, Update, VerifiedEntry, VerifiedHead } from './client.ts';
import { type Clock, sleep } from './clock.ts';
import { readHints, type StreamHint } from './event-stream.ts';
import { isPassing, isShort, Outstanding } from './outstanding.ts';
import { provePastEntry } from './past-entries.ts';
import { jitteredDelayMs } from './retry.ts';
import type { RequestBounds } from './transport.ts';
import type { Step, TrustedLog } from './trusted-log.ts';
import { headAfter, headOf, readTrustedEntry, readTrustedErased } from './trusted-state.ts';

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
  /** What was passed over since, and is told with the next update. */
  #skipped: PrunedGap | undefined;
  readonly #outstanding: Outstanding;
  #heardAt = 0;
  #attempt = 0;
  #failedStreams = 0;
  #retryMs = DEFAULT_RETRY_MS;

  constructor(options: FollowerOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    this.#outstanding = new Outstanding(options.clock, options.staleAfterMs);
  }

  async *updates(): AsyncGenerator<Update, never, void> {
    const state = await this.#options.log.load(this.#signal);
    this.#head = state === null ? null : headOf(state);
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

  /** Up to a checkpoint, of the server when none is given: here a rollback or a fork shows. */
  async *#catchUp(note?: string): AsyncGenerator<Update, void, void> {
    const { log } = this.#options;
    const claim = await log.claim(note, this.#bounds());
    while (this.#version + 1 < claim.size) yield* this.#page(claim);
    await log.adopt(claim, this.#bounds());
    this.#outstanding.settle(this.#version);
    this.#heard();
  }

  async *#page(claim: ProvenClaim): AsyncGenerator<Update, void, void> {
    const { steps, skipped } = await this.#options.log.page(
      claim,
      this.#version + 1,
      this.#bounds(),
    );
    if (skipped !== null) {
      const from = this.#skipped?.from ?? skipped.gap.from;
      this.#skipped = { from, to: skipped.gap.to };
      this.#head = skipped.head;
    }
    for (const step of steps) yield* this.#update(step, claim);
  }

  async *#listen(): AsyncGenerator<Update, void, void> {
    const { answers, clock, staleAfterMs } = this.#options;
    this.#failedStreams++;
    const left = new AbortController();
    const body = await answers.stream(this.#version, this.#bounds());
    const hints = readHints(body, {
      clock,
      idleMs: Math.min(IDLE_MS, staleAfterMs),
      signal: AbortSignal.any([this.#signal, left.signal]),
      onRetry: (retryMs) => {
        this.#retryMs = Math.max(MIN_RETRY_MS, Math.min(retryMs, MAX_RETRY_MS));
      },
    });
    try {
      yield* this.#hear(hints);
    } finally {
      left.abort();
    }
  }

  /** Ends when the next session is to compare checkpoints: a server that lost the cursor may have lost entries. */
  async *#hear(hints: AsyncGenerator<StreamHint, void, void>): AsyncGenerator<Update, void, void> {
    let next = nextOf(hints);
    while (true) {
      const result = await this.#outstanding.before(next, this.#signal);
      if (result === 'due') {
        yield* this.#tryCatchUp();
        continue;
      }
      if (result.done) return;
      this.#failedStreams = 0;
      this.#attempt = 0;
      this.#heard();
      if (result.value.type !== 'head') return;
      yield* this.#heed(result.value);
      next = nextOf(hints);
    }
  }

  /** What the event claims is judged; what it leaves out is asked for, now and again until it is there. */
  async *#heed({
    version,
    note,
  }: Extract<StreamHint, { type: 'head' }>): AsyncGenerator<Update, void, void> {
    const { log } = this.#options;
    const isNamed = version !== undefined;
    const isAhead = isNamed ? version > this.#version : note === undefined;
    if (note !== undefined && log.isNews(note)) yield* this.#tryCatchUp(note);
    else if (isAhead) yield* this.#tryCatchUp();
    if (isNamed) this.#outstanding.expect(version, this.#version);
    if (!log.isFresh()) yield* this.#catchUp();
  }

  /** What is only short of cosignatures is outstanding. An old event may be stale; the server must not be. */
  async *#tryCatchUp(note?: string): AsyncGenerator<Update, void, void> {
    try {
      yield* this.#catchUp(note);
    } catch (error) {
      if (isShort(error)) this.#outstanding.fallShort(error);
      else if (note !== undefined && error instanceof RegistryError && error.code === 'stale')
        yield* this.#tryCatchUp();
      else throw error;
    }
  }

  async *#poll(): AsyncGenerator<Update, void, void> {
    const { answers, clock, staleAfterMs, timeoutMs } = this.#options;
    const seconds = Math.max(1, Math.min(POLL_SECONDS, Math.floor(staleAfterMs / 4_000)));
    for (let round = 0; round < POLLS; round++) {
      const before = { version: this.#version, ms: clock.now() };
      const bounds = { ...this.#bounds(), timeoutMs: seconds * 1000 + timeoutMs };
      await answers.wait({ after: this.#version, seconds }, bounds);
      yield* this.#catchUp();
      this.#attempt = 0;
      const tooSoonMs = MIN_POLL_MS - (clock.now() - before.ms);
      if (this.#version === before.version && tooSoonMs > 0)
        await sleep(clock, tooSoonMs, this.#signal);
    }
    this.#failedStreams = MAX_FAILED_STREAMS - 1;
  }

  /** One entry, believed and saved before it is yielded. */
  async *#update(step: Step, claim: ProvenClaim): AsyncGenerator<Update, void, void> {
    const entry = await this.#verified(step, claim);
    this.#head = headAfter(this.#head, entry, claim);
    this.#options.onProgress?.({ version: entry.version, head: claim.size - 1 });
    // Genesis is where following begins, not an update.
    if (entry.version > 0) {
      const skipped = this.#skipped;
      this.#skipped = undefined;
      yield { head: this.#head, entry, ...(skipped !== undefined && { skipped }) };
    }
    this.#signal.throwIfAborted();
    this.#heard();
  }

  async #verified(step: Step, claim: ProvenClaim): Promise<VerifiedEntry> {
    const { log, answers } = this.#options;
    const bounds = this.#bounds();
    const { bytes: served } = step.served;
    if (await log.accept(claim, step, bounds)) {
      if (served.payload !== null) return readTrustedEntry(served);
      if (step.erasedBy !== null) return readTrustedErased(served, step.erasedBy);
    }
    // Another call on this client was ahead: the entry is trusted already, if it is the same one.
    return provePastEntry(step.served, { answers, log, bounds });
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
    // Events show that the server lives, not that its witnesses do.
    if (isShort(error)) this.#outstanding.fallShort(error);
    if (isShort(error) && this.#outstanding.isOverdue) throw error;
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

/** Who leaves while it waits is not interested in how it ends. */
function nextOf<T>(hints: AsyncGenerator<T, void, void>): Promise<IteratorResult<T, void>> {
  const next = hints.next();
  next.catch(() => undefined);
  return next;
}
