/**
 * Shut while the disk has too little room: what is left is for what keeps the service alive. Room is
 * asked for every second; a quota is known only by a write that met it.
 */
import { RegistryError } from '../../core/error.ts';
import type { WriteGate } from '../../registry/gates.ts';
import type { RegistryTimers } from '../../registry/options.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Writes } from './watched-store.ts';

const LOOK_MS = 1_000;
/** After a write for which there was no room; then the next one may try. */
const SHUT_MS = 2_000;

export interface DiskGateParts {
  /** Bytes that this process may still write where the data is. May fail, and may never answer. */
  readonly freeBytes: () => Promise<number>;
  readonly minBytes: () => number;
  readonly writes: Writes;
  readonly nowMs: () => number;
  readonly timers: RegistryTimers;
  readonly log: Pick<Log, 'warn'>;
}

export class DiskGate implements WriteGate {
  readonly name = 'disk';
  readonly #parts: DiskGateParts;
  /** `undefined`: not known, and no reason to refuse. */
  #freeBytes: number | undefined;
  #isLooking = false;
  #isFailing = false;
  #timer: unknown;

  private constructor(parts: DiskGateParts) {
    this.#parts = parts;
  }

  /** The first look is over where the disk answers before `LOOK_MS`. */
  static async open(parts: DiskGateParts): Promise<DiskGate> {
    const gate = new DiskGate(parts);
    await gate.#begin();
    return gate;
  }

  refusal(): RegistryError | undefined {
    const { minBytes, writes, nowMs } = this.#parts;
    const min = minBytes();
    const free = this.#freeBytes;
    if (free !== undefined && free < min)
      return new RegistryError(
        'read_only',
        `expected at least ${min} free bytes on the disk of the data, got ${free}: reads go on; free some space, writes resume by themselves`,
        { details: { reason: 'disk', min_free_bytes: min, free_bytes: free } },
      );
    const last = writes.last();
    if (last === undefined || !last.isRefused || nowMs() - last.endedMs >= SHUT_MS)
      return undefined;
    return new RegistryError(
      'read_only',
      'expected room for a write, got none for the last one: reads go on; free some space or raise the quota, writes resume by themselves',
      { details: { reason: 'disk', min_free_bytes: min, free_bytes: free ?? null } },
    );
  }

  close(): void {
    this.#parts.timers.clearTimeout(this.#timer);
  }

  #begin(): Promise<void> {
    return new Promise((resolve) => {
      void this.#look().then(resolve);
      this.#timer = this.#parts.timers.setTimeout(() => {
        resolve();
        this.#lookAgain();
      }, LOOK_MS);
    });
  }

  #lookAgain(): void {
    void this.#look();
    this.#timer = this.#parts.timers.setTimeout(() => this.#lookAgain(), LOOK_MS);
  }

  /** Never rejects. One at a time: each that hangs holds a thread of the pool. */
  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      this.#freeBytes = await this.#parts.freeBytes();
      this.#isFailing = false;
    } catch (cause) {
      // Whether there is room is then for the store to say.
      this.#freeBytes = undefined;
      if (!this.#isFailing)
        this.#parts.log.warn('the free space of the disk is not known', { cause });
      this.#isFailing = true;
    }
    this.#isLooking = false;
  }
}
