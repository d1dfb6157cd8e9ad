/**
 * Refused requests in the log: few of a minute are listed one by one, the others are counted exactly. So
 * no caller decides how much is written, and no collector drops the lines that matter. At level debug each of
 * them is a line. Failures never come here.
 */
import type { Log, LogFields } from '../telemetry/log.ts';
import { MAX_CLIENTS, WINDOW_MS } from './audit-log/flood.ts';

/** Listed in one minute for one client. */
export const LISTED_PER_CLIENT = 60;
/** Listed in one minute in all. */
export const LISTED_IN_ALL = 600;

export interface RefusalLogOptions {
  readonly log: Pick<Log, 'info' | 'debug'>;
  readonly timers: {
    setTimeout(run: () => void, ms: number): unknown;
    clearTimeout(timer: unknown): void;
  };
}

/** A minute begins with its first refusal. */
export class RefusalLog {
  readonly #options: RefusalLogOptions;
  #timer: unknown;
  #listedInAll = 0;
  /** By client: no more of them than are listed in all. */
  readonly #listed = new Map<string, number>();
  /** Not listed. */
  #count = 0;
  /** Of those; more than `MAX_CLIENTS` are not told apart. */
  readonly #clients = new Set<string>();

  constructor(options: RefusalLogOptions) {
    this.#options = options;
  }

  /** `client`: as limits per address count it. */
  refused(client: string, fields: LogFields): void {
    const { log, timers } = this.#options;
    this.#timer ??= timers.setTimeout(() => this.#end(), WINDOW_MS);
    const listed = this.#listed.get(client) ?? 0;
    if (listed < LISTED_PER_CLIENT && this.#listedInAll < LISTED_IN_ALL) {
      this.#listed.set(client, listed + 1);
      this.#listedInAll++;
      log.info('request refused', fields);
      return;
    }
    this.#count++;
    log.debug('request refused', fields);
    if (this.#clients.size < MAX_CLIENTS) this.#clients.add(client);
  }

  /** What was counted up to now is written. */
  close(): void {
    this.#options.timers.clearTimeout(this.#timer);
    this.#end();
  }

  #end(): void {
    this.#timer = undefined;
    const [count, clients] = [this.#count, this.#clients.size];
    this.#count = 0;
    this.#listedInAll = 0;
    this.#listed.clear();
    this.#clients.clear();
    if (count > 0) this.#options.log.info('requests refused', { count, clients });
  }
}
