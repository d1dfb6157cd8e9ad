/**
 * What of the log was let go of, for everybody who reads it: which payloads may be missing without being
 * damage, and what a reader of one is told.
 */
import { RegistryError } from '../core/error.ts';
import type { PayloadType } from '../core/payload.ts';
import type { Erasure, Retention, Store, StoredEntry } from '../store/store.ts';
import { assertStoredEntry, damaged, isDamage, type LetGo, storedPayload } from './stored.ts';

/** Never pruned: without them nobody could tell who may sign, or why a payload is gone. */
const KEPT_WHOLE: readonly PayloadType[] = ['genesis', 'governance', 'erase'];

/** What readers are told. */
export interface KeptRange extends Omit<Retention, 'reached'> {
  /** Where an operator keeps what is older, in their words. */
  readonly archive: string | null;
}

/** As `RegistryOptions` has them. */
export interface RetainedOptions {
  readonly archive?: string | null;
  readonly onLetGo?: () => void;
  /** Default: others get no turn while erasures are verified. */
  readonly timers?: { soon(run: () => void): void };
}

/** Erasures that are verified in a millisecond or two. */
const AT_ONCE = 32;

export class Retained implements LetGo {
  #state: KeptRange;
  #byVersion: ReadonlyMap<number, Erasure> = new Map();
  /** Of entries on their way to being durable: their bytes may be gone before they are visible. */
  readonly #erasing = new Set<number>();

  readonly #onLetGo: () => void;
  readonly #timers: RetainedOptions['timers'];

  constructor({ archive = null, onLetGo = () => undefined, timers }: RetainedOptions = {}) {
    this.#state = Object.freeze({ oldest: 0, erasures: [], archive });
    this.#onLetGo = onLetGo;
    this.#timers = timers;
  }

  /** Replaced as a whole when more is let go of. */
  get state(): KeptRange {
    return this.#state;
  }

  /** Throws `storage_damaged` unless the entries say of each erasure that it is one; those known before are not asked again. */
  async load(store: Pick<Store, 'retention' | 'entry'>): Promise<void> {
    const { oldest, erasures } = await store.retention();
    const known = this.#byVersion;
    const added = erasures.filter((one) => known.get(one.version)?.erasedBy !== one.erasedBy);
    for (const [i, erasure] of added.entries()) {
      await assertErasure(store, erasure);
      if ((i + 1) % AT_ONCE === 0) await this.#giveWay();
    }
    // A pruning may have begun since the store was asked: the oldest version never goes back.
    this.#become({ ...this.#state, oldest: Math.max(oldest, this.#state.oldest), erasures });
  }

  /** Versions below it are pruned from now on. */
  pruned(oldest: number): void {
    this.#become({ ...this.#state, oldest: Math.max(oldest, this.#state.oldest) });
  }

  erasing(version: number): void {
    this.#erasing.add(version);
  }

  /** It did not come to it. */
  notErasing(version: number): void {
    this.#erasing.delete(version);
  }

  isPruned(version: number, type: PayloadType): boolean {
    return version < this.#state.oldest && !KEPT_WHOLE.includes(type);
  }

  isErased(version: number): boolean {
    return this.#byVersion.has(version) || this.#erasing.has(version);
  }

  /** Throws `pruned` or `erased` unless the payload of an entry is to be had. */
  assertPayload({ version, payload }: StoredEntry, type: PayloadType): void {
    if (this.isPruned(version, type)) throw this.#prunedError(version);
    if (this.#byVersion.has(version) || payload.length === 0) throw this.#erasedError(version);
  }

  /** Throws `pruned` unless sets, and entries after it, are kept. */
  assertKept(version: number): void {
    if (version < this.#state.oldest) throw this.#prunedError(version);
  }

  /** What `read` answers; what it takes for damage at a version that was pruned meanwhile is `pruned`. */
  async whileKept<T>(version: number, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      if (isDamage(error)) this.assertKept(version);
      throw error;
    }
  }

  isWholeSet(version: number): boolean {
    return this.#lostAt(version) === undefined;
  }

  /** Throws `erased` when the set at a version has lost a value. */
  assertWholeSet(version: number): void {
    const lost = this.#lostAt(version);
    if (lost !== undefined) throw this.#erasedError(lost.version, this.#nextWhole(version));
  }

  /** What is said where the bytes of a value are missing that `setVersion` put, asked for at `version`. */
  lostValue(setVersion: number, version: number): RegistryError {
    if (!this.isErased(setVersion))
      return damaged(`expected the values that version ${setVersion} put, got an empty one`);
    const next = this.#nextWhole(version);
    // Until it is visible nobody knows how far its values reached.
    return next > version ? this.#erasedError(setVersion, next) : this.#erasedError(setVersion);
  }

  async #giveWay(): Promise<void> {
    const timers = this.#timers;
    if (timers !== undefined) await new Promise<void>((resolve) => timers.soon(resolve));
  }

  #become(state: KeptRange): void {
    const { oldest, erasures } = this.#state;
    const isMore = state.oldest > oldest || state.erasures.length > erasures.length;
    this.#state = Object.freeze(state);
    this.#byVersion = new Map(state.erasures.map((erasure) => [erasure.version, erasure]));
    for (const { version } of state.erasures) this.#erasing.delete(version);
    if (isMore) this.#onLetGo();
  }

  #lostAt(version: number): Erasure | undefined {
    return this.#state.erasures.find((one) => one.version <= version && version < one.until);
  }

  #nextWhole(version: number): number {
    let next = version;
    for (let lost = this.#lostAt(next); lost !== undefined; lost = this.#lostAt(next))
      next = lost.until;
    return next;
  }

  #prunedError(version: number): RegistryError {
    const { oldest, archive } = this.#state;
    const where = archive === null ? '' : `; the operator keeps it at ${archive}`;
    return new RegistryError(
      'pruned',
      `expected a version from ${oldest} on, got ${version}, which was pruned${where}`,
      { details: { version, oldest, archive } },
    );
  }

  #erasedError(version: number, next?: number): RegistryError {
    const by = this.#byVersion.get(version)?.erasedBy ?? null;
    const message = `expected what version ${version} held, got nothing: it was erased${by === null ? '' : ` by version ${by}`}`;
    const details = { version, erased_by: by };
    return next === undefined
      ? new RegistryError('erased', message, { details })
      : new RegistryError('erased', `${message}; sets are whole again from version ${next} on`, {
          details: { ...details, next },
        });
  }
}

/** A row that says so is no proof: an entry must have said it. */
async function assertErasure(
  store: Pick<Store, 'entry'>,
  { version, erasedBy }: Erasure,
): Promise<void> {
  const [target, by] = [await store.entry(version), await store.entry(erasedBy)];
  const payload = by && assertStoredEntry(by) && storedPayload(by).payload;
  if (
    payload?.type === 'erase' &&
    payload.version === version &&
    payload.erases === target?.entryHash
  )
    return;
  throw damaged(
    `expected version ${erasedBy} to erase version ${version} as the store says, got an entry that does not`,
  );
}
