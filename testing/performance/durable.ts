/** When the transactions of a server became durable, as `durable-clock.ts` prints it in there, told in this process's time. */
import { join } from 'node:path';

/** What makes a server print it. */
export const DURABLE_FLAGS = ['--import', join(import.meta.dirname, 'durable-clock.ts')];

const PREFIX = 'durable ';
const DEADLINE_MS = 10_000;
/** Both count the same clock, from different beginnings. The closest of some readings: what comes between two is the error. */
const ORIGIN_MS = Math.max(
  ...Array.from({ length: 100 }, () => Number(process.hrtime.bigint()) / 1e6 - performance.now()),
);

export function formatDurable(ns: bigint): string {
  return PREFIX + ns;
}

/** As `performance.now()` would have told it here; `undefined`: the line says something else. */
export function parseDurable(line: string): number | undefined {
  if (!line.startsWith(PREFIX)) return undefined;
  return Number(line.slice(PREFIX.length)) / 1e6 - ORIGIN_MS;
}

export class DurableTimes {
  readonly #times: number[] = [];
  #onTime: () => void = () => undefined;

  /** Whatever a server prints. */
  readonly take = (line: string): void => {
    const ms = parseDurable(line);
    if (ms === undefined) return;
    this.#times.push(ms);
    this.#onTime();
  };

  /** The first after `sinceMs`, now or when it comes; a line may be behind what it tells of. */
  async firstAfter(sinceMs: number): Promise<number> {
    const overdue = AbortSignal.timeout(DEADLINE_MS);
    for (;;) {
      const found = this.#times.find((ms) => ms > sinceMs);
      if (found !== undefined) return found;
      await new Promise<void>((resolve, reject) => {
        this.#onTime = resolve;
        overdue.onabort = () => reject(new Error('expected a durable commit, got none'));
      });
    }
  }
}
