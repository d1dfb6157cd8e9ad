/**
 * The audit trail of a server: events in, lines out, in order, and a gate that shuts writes while no
 * line can be kept. What could not be kept is held for a while, then counted; it is never just gone.
 */
import { RegistryError } from '../../core/error.ts';
import type { WriteGate } from '../../registry/gates.ts';
import type { AuditEvent, AuditTrail } from '../../telemetry/audit.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Config } from '../config.ts';
import type { Reloadable } from '../reload.ts';
import { Flood, WINDOW_MS } from './flood.ts';
import { ownEvent, reaches, refusalOf, stalled } from './parts.ts';
import { clockTime, type Draft, eventDraft, type Position } from './record.ts';
import type { AuditSink } from './sink.ts';

/** An answer waits for its record no longer than this. */
export const MAX_WAIT_MS = 2_000;
export const SYNC_AFTER_MS = 1_000;
export const RETRY_MS = { first: 1_000, last: 30_000 } as const;
/** Events that wait to be written; further ones are counted. */
export const MAX_BACKLOG = 4_096;

export interface OpenAuditLog extends AuditTrail, WriteGate, Reloadable, AsyncDisposable {
  /** To be noted elsewhere, so that a log cut short is noticed; `undefined` while none is open. */
  position(): (Position & { readonly log: string }) | undefined;
}

export interface AuditParts {
  readonly metrics: Pick<Metrics, 'audited' | 'auditFailed'>;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly timers: {
    setTimeout(run: () => void, ms: number): unknown;
    clearTimeout(timer: unknown): void;
  };
}

export interface AuditLogOptions extends AuditParts {
  readonly maxBytes: number;
  /** Also asked after a failure that leaves nothing to go on with. */
  readonly openSink: (maxBytes: number) => Promise<AuditSink>;
}

interface Item {
  readonly draft: Draft;
  /** Of an event. */
  readonly decision?: AuditEvent['decision'];
  /** Lets the answer go; `undefined` once it has gone. */
  settle: (() => void) | undefined;
}

export class AuditLog implements OpenAuditLog {
  readonly name = 'audit';
  readonly #options: AuditLogOptions;
  readonly #flood = new Flood();
  readonly #backlog: Item[] = [];
  #maxBytes: number;
  #sink: AuditSink | undefined;
  /** The end when something was last kept. */
  #known: { readonly log: string; readonly position: Position } | undefined;
  #failure: RegistryError | undefined;
  #lost: { since: number; accepted: number; refused: number } | undefined;
  #draining: Promise<void> | undefined;
  #syncTimer: unknown;
  #floodTimer: unknown;
  #retryTimer: unknown;
  #retryMs: number = RETRY_MS.first;
  #isClosed = false;

  constructor(options: AuditLogOptions) {
    this.#options = options;
    this.#maxBytes = options.maxBytes;
  }

  position(): (Position & { readonly log: string }) | undefined {
    return this.#sink && { ...this.#sink.position, log: this.#sink.log };
  }

  refusal(): RegistryError | undefined {
    return this.#failure;
  }

  async prepare({ auditMaxBytes }: Pick<Config, 'auditMaxBytes'>): Promise<() => void> {
    return () => {
      this.#maxBytes = auditMaxBytes;
      this.#sink?.setMaxBytes(auditMaxBytes);
    };
  }

  async record(event: AuditEvent): Promise<void> {
    const at = this.#options.now();
    if (this.#isClosed || this.#flood.isListed(event, at))
      return this.#keep(eventDraft(event, at), event.decision);
    this.#options.metrics.audited(event.decision);
    this.#awaitWindow();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    await this.#keepSuppressed();
    await this.record(ownEvent('stop'));
    this.#isClosed = true;
    for (const timer of [this.#syncTimer, this.#floodTimer, this.#retryTimer])
      this.#options.timers.clearTimeout(timer);
    this.#wake();
    await this.#within(async () => {
      await this.#draining;
      await this.#sink?.close();
    }).catch((error: unknown) => this.#fail(error));
    this.#announce('the audit log is closed');
    if (this.#backlog.length > 0)
      this.#options.log.error('audit records are not kept', { count: this.#backlog.length });
  }

  /** Opens what is there and records the start. */
  async begin(): Promise<void> {
    await this.record(ownEvent('start'));
    if (this.#failure === undefined) this.#announce('the audit log is open');
  }

  #announce(message: string): void {
    const at = this.position();
    this.#options.log.info(message, { audit_log: at?.log, seq: at?.seq, hash: at?.hash });
  }

  #awaitWindow(): void {
    this.#floodTimer ??= this.#options.timers.setTimeout(() => {
      this.#floodTimer = undefined;
      void this.#keepSuppressed();
    }, WINDOW_MS);
  }

  async #keepSuppressed(): Promise<void> {
    // Without a place in the backlog the counts go on: they are not to be lost.
    if (this.#backlog.length >= MAX_BACKLOG) return this.#awaitWindow();
    const draft = this.#flood.take(this.#options.now());
    if (draft !== undefined) await this.#keep(draft);
  }

  #keep(draft: Draft, decision?: AuditEvent['decision']): Promise<void> {
    if (this.#isClosed || this.#backlog.length >= MAX_BACKLOG) {
      this.#lose(draft, decision);
      return Promise.resolve();
    }
    const item: Item = { draft, settle: undefined, ...(decision && { decision }) };
    this.#backlog.push(item);
    if (this.#failure !== undefined) {
      this.#options.metrics.auditFailed();
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      item.settle = resolve;
      this.#wake();
    });
  }

  #lose({ at }: Draft, decision?: AuditEvent['decision']): void {
    this.#options.metrics.auditFailed();
    this.#lost ??= { since: at, accepted: 0, refused: 0 };
    if (decision !== undefined) this.#lost[decision]++;
  }

  #wake(): void {
    this.#draining ??= this.#drain();
  }

  async #drain(): Promise<void> {
    try {
      do {
        this.#sink ??= await this.#watched(() => this.#open());
        await this.#write(this.#sink);
      } while (this.#backlog.length > 0 || this.#sink.isSuspect);
      this.#recover();
    } catch (error) {
      this.#fail(error);
    } finally {
      // In the same turn as the last look at the backlog: an event after it starts anew.
      this.#draining = undefined;
    }
  }

  /** What this process knows to be kept must still be there. */
  async #open(): Promise<AuditSink> {
    const sink = await this.#options.openSink(this.#maxBytes);
    const { log, position } = sink;
    const known = this.#known;
    if (known?.log === log && !reaches(position, known.position)) {
      await sink.close();
      throw new RegistryError(
        'storage_damaged',
        `expected audit record ${known.position.seq} with the hash ${known.position.hash}, got an end at record ${position.seq}: it was cut off`,
      );
    }
    if (known !== undefined && known.log !== log)
      this.#options.log.warn('a new audit log begins', {
        audit_log: log,
        before: known.log,
        seq: known.position.seq,
        hash: known.position.hash,
      });
    return sink;
  }

  async #write(sink: AuditSink): Promise<void> {
    await this.#watched(() => sink.mend());
    const drafts = this.#backlog.map(({ draft }) => draft);
    const kept = drafts.length === 0 ? 0 : await this.#watched(() => sink.write(drafts));
    this.#known = { log: sink.log, position: sink.position };
    for (const { settle, decision } of this.#backlog.splice(0, kept)) {
      if (decision !== undefined) this.#options.metrics.audited(decision);
      settle?.();
    }
    this.#syncTimer ??= this.#options.timers.setTimeout(() => {
      this.#syncTimer = undefined;
      sink.sync().catch((error: unknown) => this.#fail(error));
    }, SYNC_AFTER_MS);
    if (this.#lost === undefined || this.#backlog.length > 0) return;
    const { since, accepted, refused } = this.#lost;
    this.#lost = undefined;
    const members = { act: 'lost' as const, since: clockTime(since), accepted, refused };
    this.#backlog.push({ draft: { at: this.#options.now(), members }, settle: undefined });
  }

  /** Answers wait no longer than `MAX_WAIT_MS`, and writes are shut, when the disk does not answer. */
  async #watched<T>(act: () => Promise<T>): Promise<T> {
    const { timers } = this.#options;
    const timer = timers.setTimeout(() => this.#shut(stalled(MAX_WAIT_MS)), MAX_WAIT_MS);
    try {
      return await act();
    } finally {
      timers.clearTimeout(timer);
    }
  }

  #within(act: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const { timers } = this.#options;
      const timer = timers.setTimeout(() => reject(stalled(MAX_WAIT_MS)), MAX_WAIT_MS);
      act()
        .then(resolve, reject)
        .finally(() => timers.clearTimeout(timer));
    });
  }

  #recover(): void {
    this.#retryMs = RETRY_MS.first;
    if (this.#failure === undefined) return;
    this.#failure = undefined;
    this.#announce('audit records are kept again');
  }

  #fail(error: unknown): void {
    const isDamaged = error instanceof RegistryError && error.code === 'storage_damaged';
    this.#shut(refusalOf(error), error);
    if (isDamaged) {
      const gone = this.#sink;
      this.#sink = undefined;
      gone?.close().catch(() => undefined);
    }
    if (this.#isClosed || this.#retryTimer !== undefined) return;
    this.#retryTimer = this.#options.timers.setTimeout(() => {
      this.#retryTimer = undefined;
      this.#wake();
    }, this.#retryMs);
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS.last);
  }

  #shut(failure: RegistryError, error: unknown = failure): void {
    if (this.#failure?.message !== failure.message)
      this.#options.log.error('audit records are not kept: writes are refused', { error });
    this.#failure = failure;
    for (const item of this.#backlog) {
      if (item.settle === undefined) continue;
      this.#options.metrics.auditFailed();
      item.settle();
      item.settle = undefined;
    }
  }
}
