/**
 * Shut for a moment after the event loop was late: what it still has time for goes to reads. A timer
 * that falls due often finds out how late it comes.
 */
import { RegistryError } from '../../core/error.ts';
import type { WriteGate } from '../../registry/gates.ts';
import type { RegistryTimers } from '../../registry/options.ts';

const TICK_MS = 50;
const SHUT_MS = 1_000;
/** What is late in a start is the start. */
const GRACE_MS = 2_000;

export interface LoopGateParts {
  /** Later than this, or as late: late. */
  readonly limitMs: () => number;
  readonly nowMs: () => number;
  readonly timers: RegistryTimers;
}

export class LoopGate implements WriteGate {
  readonly name = 'loop';
  readonly #parts: LoopGateParts;
  readonly #graceEndMs: number;
  #dueMs = 0;
  #timer: unknown;
  #late: { readonly byMs: number; readonly atMs: number } | undefined;

  constructor(parts: LoopGateParts) {
    this.#parts = parts;
    this.#graceEndMs = parts.nowMs() + GRACE_MS;
    this.#arm();
  }

  refusal(): RegistryError | undefined {
    const { nowMs, limitMs } = this.#parts;
    // A request may come to its turn before the timer does.
    this.#look();
    if (this.#late === undefined || nowMs() - this.#late.atMs >= SHUT_MS) return undefined;
    const [lateMs, limit] = [Math.round(this.#late.byMs), Math.round(limitMs())];
    return new RegistryError(
      'loop_late',
      `expected an event loop late by less than ${limit} ms, got ${lateMs} ms: reads go on, repeat later`,
      { details: { reason: 'loop', limit_ms: limit, late_ms: lateMs } },
    );
  }

  close(): void {
    this.#parts.timers.clearTimeout(this.#timer);
  }

  #arm(): void {
    const { nowMs, timers } = this.#parts;
    this.#dueMs = nowMs() + TICK_MS;
    this.#timer = timers.setTimeout(() => {
      this.#look();
      this.#arm();
    }, TICK_MS);
  }

  #look(): void {
    const { nowMs, limitMs } = this.#parts;
    const atMs = nowMs();
    const byMs = atMs - this.#dueMs;
    if (byMs >= limitMs() && atMs >= this.#graceEndMs) this.#late = { byMs, atMs };
  }
}
