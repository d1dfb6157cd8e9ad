/**
 * Retention at work: what the policy says is too old is pruned, but only below a version that a verified
 * snapshot and a signed checkpoint cover. Now and then by itself, and when an operator asks.
 */
import { errorCode, RegistryError } from '../../core/error.ts';
import type { RegistryTimers } from '../../registry/options.ts';
import type { Registry } from '../../registry/registry.ts';
import type { Store } from '../../store/store.ts';
import type { AuditTrail } from '../../telemetry/audit.ts';
import type { Log } from '../../telemetry/log.ts';
import { type HorizonOptions, horizonOf, isBounded, type RetentionPolicy } from './horizon.ts';

/** Snapshots, as far as pruning rests on them. */
export interface Coverage {
  /**
   * The name of a snapshot that holds every payload from `oldest` up to, not including, `horizon`, and a checkpoint
   * over them, read again and found as it was written; `undefined`: there is none.
   */
  find(
    range: { readonly oldest: number; readonly horizon: number },
    signal: AbortSignal,
  ): Promise<string | undefined>;
  /** Makes one of the newest version. */
  make(signal: AbortSignal): Promise<unknown>;
}

export interface RetentionParts {
  readonly registry: Pick<Registry, 'head' | 'checkpoint' | 'retention' | 'reader' | 'prune'>;
  readonly store: Pick<Store, 'putCheckpoint' | 'retention'>;
  readonly policy: () => RetentionPolicy;
  readonly coverage: Coverage;
  readonly audit: AuditTrail;
  readonly newCorrId: () => string;
  readonly timers: RegistryTimers;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonicMs: () => number;
  readonly log: Log;
}

export interface PruneAsked {
  /** The lowest version to keep; `undefined`: what the policy says. */
  readonly oldest?: number | undefined;
  readonly signal: AbortSignal;
}

export interface Pruned {
  readonly before: number;
  readonly oldest: number;
  /** The snapshot that holds what was let go of; `null`: nothing was. */
  readonly snapshot: string | null;
}

/** After a start, and between two looks at the policy. */
const FIRST_MS = 60_000;
const AGAIN_MS = 3_600_000;
/** A clock that is corrected by less is taken as it is. */
const JUMP_MS = 3_600_000;

export class RetentionRun implements AsyncDisposable {
  readonly #parts: RetentionParts;
  readonly #ended = new AbortController();
  readonly #started: { readonly now: number; readonly monotonicMs: number };
  #working: Promise<unknown> = Promise.resolve();
  #timer: unknown;

  /** A pruning that was cut short goes on at once. */
  constructor(parts: RetentionParts) {
    this.#parts = parts;
    this.#started = { now: parts.now(), monotonicMs: parts.monotonicMs() };
    const { signal } = this.#ended;
    this.#inTurn(() => this.#goOn(signal)).catch((cause: unknown) => {
      if (!signal.aborted) parts.log.error('what was to be pruned is not', { cause });
    });
    this.#timer = parts.timers.setTimeout(() => this.#look(), FIRST_MS);
  }

  /**
   * One at a time. Throws `invalid_request` for what may not be pruned, what a snapshot throws, and what
   * `Registry.prune` throws.
   */
  prune(asked: PruneAsked): Promise<Pruned> {
    return this.#inTurn(() => this.#prune(asked));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#parts.timers.clearTimeout(this.#timer);
    this.#ended.abort();
    await this.#working;
  }

  #look(): void {
    void this.#policyDue().finally(() => {
      if (this.#ended.signal.aborted) return;
      this.#timer = this.#parts.timers.setTimeout(() => this.#look(), AGAIN_MS);
    });
  }

  /** Never rejects. */
  async #policyDue(): Promise<void> {
    const { audit, log, newCorrId } = this.#parts;
    const event = {
      act: 'prune',
      client: 'retention',
      token: null,
      signer: null,
      proposal: null,
      reason: null,
      corrId: newCorrId(),
    } as const;
    try {
      const { before, oldest, snapshot } = await this.prune({ signal: this.#ended.signal });
      if (oldest === before) return;
      log.info('older entries were pruned', { before, oldest, snapshot });
      await audit.record({ ...event, decision: 'accepted', code: null, version: oldest });
    } catch (cause) {
      if (this.#ended.signal.aborted) return;
      const code = errorCode(cause);
      log.error('older entries could not be pruned', { code, cause });
      await audit
        .record({ ...event, decision: 'refused', code, version: null })
        .catch(() => undefined);
    }
  }

  /** What an earlier pruning has left, which was given up or cut short: it must be covered still. */
  async #goOn(signal: AbortSignal): Promise<void> {
    const { registry, store, coverage, log } = this.#parts;
    const { oldest, reached } = await store.retention();
    if (reached === oldest) return;
    const snapshot = await coverage.find({ oldest: reached, horizon: oldest }, signal);
    // One made now would not do: by its header it holds what is from `oldest` on.
    if (snapshot === undefined)
      throw new RegistryError(
        'storage_failed',
        `expected a snapshot that holds versions ${reached} to ${oldest - 1}, which a pruning has left, got none: nothing more is dropped; put one that does back into the directory snapshots of the data directory`,
      );
    await registry.prune(oldest, { signal });
    signal.throwIfAborted();
    log.info('what a pruning had left was pruned', { from: reached, oldest, snapshot });
  }

  async #prune({ oldest: asked, signal }: PruneAsked): Promise<Pruned> {
    const { registry, store } = this.#parts;
    const head = registry.head()?.version;
    const { oldest: before } = registry.retention();
    const nothing = { before, oldest: before, snapshot: null };
    if (head === undefined) return nothing;
    const both = AbortSignal.any([signal, this.#ended.signal]);
    // First: what one snapshot covers is then all that is ever under way.
    await this.#goOn(both);
    const horizon = asked ?? (await this.#horizon({ head, oldest: before }));
    if (horizon <= before) return nothing;
    const checkpoint = registry.checkpoint();
    const covered = (checkpoint?.size ?? 0) - 1;
    if (checkpoint === undefined || horizon > covered)
      throw new RegistryError(
        'invalid_request',
        `expected a version up to ${covered}, which a signed checkpoint covers, got ${horizon}`,
      );
    // Durable, in the store and so in the snapshot: otherwise only within a second.
    await store.putCheckpoint(checkpoint.note);
    const snapshot = await this.#cover({ oldest: before, horizon }, both);
    await registry.prune(horizon, { signal: both });
    return { before, oldest: horizon, snapshot };
  }

  /** By the policy. */
  async #horizon(kept: Pick<HorizonOptions, 'head' | 'oldest'>): Promise<number> {
    const { registry, policy } = this.#parts;
    if (!isBounded(policy())) return kept.oldest;
    return await horizonOf(policy(), { ...kept, reader: registry.reader, now: this.#now() });
  }

  /** What a clock that is set forward adds, by mistake perhaps, makes nothing older before the next start. */
  #now(): number {
    const { now, monotonicMs, log } = this.#parts;
    const { now: startedAt, monotonicMs: startedMs } = this.#started;
    const expected = startedAt + (monotonicMs() - startedMs);
    const jumpedMs = now() - expected;
    if (jumpedMs <= JUMP_MS) return now();
    log.warn('the clock was set forward: ages are counted without that until the next start', {
      jumpedMs: Math.round(jumpedMs),
    });
    return expected;
  }

  async #cover(
    range: { readonly oldest: number; readonly horizon: number },
    signal: AbortSignal,
  ): Promise<string> {
    const { coverage } = this.#parts;
    const found = await coverage.find(range, signal);
    if (found !== undefined) return found;
    await coverage.make(signal);
    const made = await coverage.find(range, signal);
    if (made === undefined)
      throw new RegistryError(
        'storage_failed',
        `expected a snapshot that holds versions ${range.oldest} to ${range.horizon - 1}, got none: nothing was pruned`,
      );
    return made;
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const acted = this.#working.then(act);
    this.#working = acted.catch(() => undefined);
    return acted;
  }
}
