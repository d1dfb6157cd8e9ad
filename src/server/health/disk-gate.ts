/**
 * Shut while the disk has too little room: what is left is for what keeps the service alive. Room is
 * asked for every second; a quota is known only by a write that met it. An operator is told before,
 * and the ballast is kept by the same looks.
 */
import { RegistryError } from '../../core/error.ts';
import type { WriteGate } from '../../registry/gates.ts';
import type { RegistryTimers } from '../../registry/options.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Ballast } from './ballast.ts';
import { type DiskMark, type DiskMarks, endOfMark, markOf } from './disk-marks.ts';
import type { Writes } from './watched-store.ts';

const LOOK_MS = 1_000;
/** After a write for which there was no room; then the next one may try. */
const SHUT_MS = 2_000;

const LEVELS: Readonly<Record<DiskMark, 0 | 1 | 2>> = { fine: 0, soft: 1, hard: 2 };

export interface DiskGateParts {
  /** Bytes that this process may still write where the data is. May fail, and may never answer. */
  readonly freeBytes: () => Promise<number>;
  /** In force now. */
  readonly marks: () => DiskMarks;
  readonly ballast: Pick<Ballast, 'look' | 'tend' | 'close' | 'missingBytes' | 'isAwaitingRoom'>;
  readonly writes: Writes;
  readonly nowMs: () => number;
  readonly timers: RegistryTimers;
  readonly metrics: Pick<Metrics, 'disk'>;
  readonly log: Pick<Log, 'info' | 'warn'>;
}

export class DiskGate implements WriteGate {
  readonly name = 'disk';
  readonly #parts: DiskGateParts;
  /** `undefined`: not known, and no reason to refuse. */
  #freeBytes: number | undefined;
  /** Of them, what the ballast will take again: that it was released makes no room for writes. */
  #owedBytes = 0;
  #mark: DiskMark = 'fine';
  #isWarned = false;
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
    if (this.#judge() !== 'hard') return undefined;
    const { minBytes } = this.#parts.marks();
    const opensAt = endOfMark(minBytes) + this.#owedBytes;
    const free = this.#freeBytes;
    const details = {
      reason: 'disk',
      min_free_bytes: minBytes,
      opens_at_bytes: opensAt,
      free_bytes: free ?? null,
    };
    const message =
      free !== undefined && free < opensAt
        ? `expected at least ${opensAt} free bytes on the disk of the data, got ${free}: reads go on; free some space, writes resume by themselves`
        : 'expected room for a write, got none for the last one: reads go on; free some space or raise the quota, writes resume by themselves';
    return new RegistryError('read_only', message, { details });
  }

  async close(): Promise<void> {
    this.#parts.timers.clearTimeout(this.#timer);
    await this.#parts.ballast.close();
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
    const { ballast, marks } = this.#parts;
    const free = await this.#askFree();
    // In this order: a ballast released in between makes the room look smaller than it is, never larger.
    await ballast.look();
    this.#freeBytes = free;
    this.#owedBytes = ballast.missingBytes;
    this.#isLooking = false;
    ballast.tend({
      freeBytes: free,
      roomBytes: this.#roomBytes,
      marks: marks(),
      isRefused: this.#isRefused,
    });
    this.#tell();
  }

  async #askFree(): Promise<number | undefined> {
    try {
      const free = await this.#parts.freeBytes();
      this.#isFailing = false;
      return free;
    } catch (cause) {
      // Whether there is room is then for the store to say.
      if (!this.#isFailing)
        this.#parts.log.warn('the free space of the disk is not known', { cause });
      this.#isFailing = true;
      return undefined;
    }
  }

  get #roomBytes(): number | undefined {
    return this.#freeBytes === undefined ? undefined : this.#freeBytes - this.#owedBytes;
  }

  get #isRefused(): boolean {
    const last = this.#parts.writes.last();
    return last?.isRefused === true && this.#parts.nowMs() - last.endedMs < SHUT_MS;
  }

  /** Anew whenever it is asked for: a reload may have moved the marks. */
  #judge(): DiskMark {
    const room = this.#roomBytes;
    if (this.#isRefused || this.#parts.ballast.isAwaitingRoom) this.#mark = 'hard';
    else this.#mark = room === undefined ? 'fine' : markOf(room, this.#parts.marks(), this.#mark);
    return this.#mark;
  }

  /** That writes are refused is told with the other gates. */
  #tell(): void {
    const { metrics, log, marks } = this.#parts;
    const mark = this.#judge();
    const free = this.#freeBytes;
    metrics.disk(free === undefined ? undefined : { freeBytes: free, mark: LEVELS[mark] });
    const room = this.#roomBytes;
    if (free === undefined || room === undefined) return;
    const { warnBytes } = marks();
    // A write without room, as under a quota, says nothing of the disk.
    const isLow = mark !== 'fine' && warnBytes > 0 && room < endOfMark(warnBytes);
    if (isLow === this.#isWarned) return;
    this.#isWarned = isLow;
    const figures = { free_bytes: free, warn_free_bytes: warnBytes };
    if (isLow) log.warn('the disk of the data has little room: free some, or enlarge it', figures);
    else log.info('the disk of the data has room again', figures);
  }
}
