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
   * One after another, each from its own reading of the sources. Throws `invalid_request` with every
   * reason, in `details.violations`; nothing has changed then. The log tells both.
   */
  reload(): Promise<readonly string[]> {
    const reloaded = this.#last.then(() => this.#reload());
    this.#last = reloaded.catch(() => {});
    return reloaded;
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
      log.error('the configuration was not reloaded: the one before stays in force', { error });
      throw error;
    }
  }

  async #replace(): Promise<readonly string[]> {
    const next = await this.#options.load();
    const changed = SETTINGS.filter(
      ({ key }) => !isDeepStrictEqual(this.#current.settings[key], next.settings[key]),
    );
    const prepared = await Promise.allSettled(this.#parts.map(async (part) => part.prepare(next)));
    const failures = prepared.flatMap((part) => (part.status === 'rejected' ? [part.reason] : []));
    const reasons = [...changed.flatMap(refusalsOf), ...failures.map(messageOf)];
    if (reasons.length > 0) throw refused(reasons, failures[0]);
    // Nothing is awaited from here on: no request meets one part before and another after.
    this.#current = next;
    for (const part of prepared) if (part.status === 'fulfilled') part.value();
    return changed.map(({ key }) => key);
  }
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
