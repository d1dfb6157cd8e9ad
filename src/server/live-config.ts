/** The configuration in force, and its replacement while the server runs: whole, or not at all. */
import { isDeepStrictEqual } from 'node:util';
import { RegistryError } from '../core/error.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Config } from './config.ts';
import { type NamedSetting, SETTINGS } from './config-schema.ts';
import type { Reloadable } from './reload.ts';

export interface LiveConfigOptions {
  readonly initial: Config;
  /** From the sources of the start, read again; throws `invalid_request`. */
  readonly load: () => Promise<Config>;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'reloaded'>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class LiveConfig {
  readonly #options: LiveConfigOptions;
  readonly #parts: Reloadable[] = [];
  #current: Config;
  #last: Promise<unknown> = Promise.resolve();
  /** Has not read its sources yet: whoever asks now is served by it. */
  #waiting: Promise<readonly string[]> | undefined;
  #isClosed = false;

  constructor(options: LiveConfigOptions) {
    this.#options = options;
    this.#current = options.initial;
  }

  /** As of the last reload that was applied. */
  get current(): Config {
    return this.#current;
  }

  /** From the next reload on; whoever made the part gave it `current`. */
  add(part: Reloadable): void {
    this.#parts.push(part);
  }

  /**
   * Resolves with the keys that changed, also when there are none: what files hold is read again then too.
   * One after another, from sources as they are after the call. Throws `invalid_request` with every reason,
   * in `details.violations`; nothing has changed then. The log tells both.
   */
  reload(): Promise<readonly string[]> {
    if (this.#waiting !== undefined) return this.#waiting;
    const reloaded = this.#last.then(() => {
      this.#waiting = undefined;
      return this.#reload();
    });
    this.#waiting = reloaded;
    this.#last = reloaded.catch(() => {});
    return reloaded;
  }

  /** Before the parts are closed: no reload changes one from now on. Resolves when none is running. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#last;
  }

  async #reload(): Promise<readonly string[]> {
    const { log, metrics, now } = this.#options;
    try {
      const changed = await this.#replace();
      metrics.reloaded('applied', now() / 1000);
      log.info('the configuration was reloaded', { changed: changed.join(', ') || 'nothing' });
      return changed;
    } catch (error) {
      metrics.reloaded('refused', now() / 1000);
      log.error('the configuration was not reloaded', { error });
      throw error;
    }
  }

  async #replace(): Promise<readonly string[]> {
    this.#assertOpen();
    const next = await this.#options.load();
    const changed = SETTINGS.filter(
      ({ key }) => !isDeepStrictEqual(this.#current.settings[key], next.settings[key]),
    );
    const prepared = await Promise.allSettled(this.#parts.map(async (part) => part.prepare(next)));
    const failures = prepared.flatMap((part) => (part.status === 'rejected' ? [part.reason] : []));
    const reasons = [...changed.flatMap(refusalsOf), ...failures.map(messageOf)];
    if (reasons.length > 0) throw refused(reasons, failures[0]);
    this.#assertOpen();
    this.#current = next;
    takeUp(prepared.flatMap((part) => (part.status === 'fulfilled' ? [part.value] : [])));
    return changed.map(({ key }) => key);
  }

  #assertOpen(): void {
    if (this.#isClosed)
      throw new RegistryError('draining', 'expected a server that goes on, got one that stops');
  }
}

/** Nothing is awaited: no request meets one part before and another after. */
function takeUp(prepared: readonly (() => void)[]): void {
  const failures: unknown[] = [];
  for (const apply of prepared)
    try {
      apply();
    } catch (error) {
      // Against its contract; the others are not held back by it.
      failures.push(error);
    }
  if (failures.length > 0)
    throw new RegistryError(
      'internal',
      `expected every part to take up what it prepared, got ${failures.length} that did not: restart the server`,
      { cause: failures[0] },
    );
}

function refusalsOf({ key, reload }: NamedSetting): string[] {
  return reload === true ? [] : [`${key}: expected no change without a restart: ${reload}`];
}

function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}

function refused(violations: readonly string[], cause: unknown): RegistryError {
  const count = violations.length === 1 ? '1 reason' : `${violations.length} reasons`;
  const lines = violations.map((violation) => `\n  ${violation}`).join('');
  return new RegistryError(
    'invalid_request',
    `expected a configuration that can be taken up while running, got ${count} against it:${lines}`,
    { cause, details: { violations } },
  );
}
