/** The revoked ids in force: the file as it was last read whole, looked at again every few seconds. */
import type { Log } from '../../telemetry/log.ts';
import type { TIMERS } from '../timers.ts';
import { type Revocations, readRevocations, stampOf } from './revocations.ts';

/** A revoked token is refused this much later at the latest, and the time it takes to read the file. */
export const LOOK_EVERY_MS = 2_000;

interface RevocationFileParts {
  readonly log: Log;
  readonly timers: typeof TIMERS;
}

export class RevocationFile {
  readonly #parts: RevocationFileParts;
  #read: Revocations = { ids: new Set(), stamp: '' };
  #path: string | null = null;
  #timer: unknown;
  /** Of `take`: a look that was under way then is about another file. */
  #generation = 0;

  constructor(parts: RevocationFileParts) {
    this.#parts = parts;
  }

  has(id: string): boolean {
    return this.#read.ids.has(id);
  }

  /** What is in force, to be told to `take`. */
  get current(): Revocations {
    return this.#read;
  }

  /**
   * From now on this file, with what was read of it. `null`: nothing is revoked. `before`: what was in force when
   * that reading began; when a look has read the same file since, its list stays.
   */
  take(path: string | null, read: Revocations, before: Revocations): void {
    const isOutrun = path === this.#path && this.#read !== before;
    this.close();
    this.#path = path;
    if (!isOutrun) this.#replace(path, read);
    if (path !== null) this.#lookLater(path);
  }

  close(): void {
    this.#generation++;
    this.#parts.timers.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #lookLater(path: string): void {
    const timer = this.#parts.timers.setTimeout(() => void this.#look(path), LOOK_EVERY_MS);
    if (timer instanceof Object && 'unref' in timer && typeof timer.unref === 'function')
      timer.unref();
    this.#timer = timer;
  }

  /** Never rejects. What cannot be read changes nothing, and is told once, not at every look. */
  async #look(path: string): Promise<void> {
    const generation = this.#generation;
    const found = await this.#readChanged(path);
    if (generation !== this.#generation) return;
    if (found !== undefined) this.#replace(path, found);
    this.#lookLater(path);
  }

  /** `undefined`: nothing new. */
  async #readChanged(path: string): Promise<Revocations | undefined> {
    try {
      if ((await stampOf(path)) === this.#read.stamp) return undefined;
      return await readRevocations(path);
    } catch (error) {
      const stamp = `unread: ${error}`;
      if (stamp === this.#read.stamp) return undefined;
      this.#parts.log.error('the revoked tokens can not be read: the last list stays in force', {
        path,
        error,
      });
      return { ids: this.#read.ids, stamp };
    }
  }

  #replace(path: string | null, found: Revocations): void {
    const before = this.#read.ids;
    this.#read = found;
    const forgotten = [...before].filter((id) => !found.ids.has(id)).length;
    if (found.ids.size === before.size && forgotten === 0) return;
    const fields = { path, revoked: found.ids.size, forgotten };
    // Ids may leave a list when their tokens have expired; by mistake they come back to life.
    if (forgotten > 0) this.#parts.log.warn('revoked tokens left the list', fields);
    else this.#parts.log.info('revoked tokens were read', fields);
  }
}
