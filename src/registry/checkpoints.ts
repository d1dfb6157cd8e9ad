/**
 * The owner of the published checkpoint: makes it for a grown log, adds what cosigners bring, keeps it
 * over a restart. A log key that cannot sign holds back the checkpoint and the next write, never the
 * entry that is durable already.
 */
import { encodeUtf8 } from '../core/bytes.ts';
import type { Chain } from '../core/chain.ts';
import { RegistryError } from '../core/error.ts';
import type { Governance } from '../core/governance.ts';
import { hashOf } from '../core/hash.ts';
import type { Checkpoint } from '../core/tlog/checkpoint.ts';
import { LogTree } from '../core/tlog/log-tree.ts';
import { encodeNote, type Note, type NoteSignature } from '../core/tlog/note.ts';
import type { Store } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import type { Cosigner, CosignerPort, OpenCosigner } from './cosigners.ts';
import type { CheckpointSigner, RegistryTimers } from './options.ts';
import type { PublishedCheckpoint } from './registry.ts';
import {
  assertReadBack,
  isSignable,
  type LogKeyInForce,
  logKeysInForce,
  signCheckpoint,
  unsignable,
} from './seal.ts';

/** Written to the store at most this often: what is lost with a crash is signed again. */
const KEEP_MS = 1_000;
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;

/** A checkpoint and the tree whose root it signs. */
export interface Sealed {
  readonly checkpoint: Checkpoint & Note;
  readonly tree: LogTree;
}

export interface CheckpointsOptions {
  readonly store: Store;
  readonly signers: readonly CheckpointSigner[];
  readonly cosigners: readonly OpenCosigner[];
  readonly prove: CosignerPort['prove'];
  readonly timers: RegistryTimers;
  readonly log: Log;
  /** The published checkpoint is new in more than its times; the head is not. Must not throw. */
  readonly onRenewed: () => void;
  /** A write whose outcome is unknown. */
  readonly onFatal: (error: RegistryError) => void;
}

export class Checkpoints {
  readonly #options: CheckpointsOptions;
  readonly #cosigners: readonly Cosigner[];
  #sealed: Sealed | undefined;
  #published: PublishedCheckpoint | undefined;
  /** Why the newest entries are not under a checkpoint. */
  #unsigned: RegistryError | undefined;
  #retry: unknown;
  #failures = 0;
  #keepTimer: unknown;
  #keeping: Promise<void> = Promise.resolve();
  #kept: string | undefined;
  /** Asked for at every write; a governance seldom changes. */
  #inForce: { readonly of: Governance; readonly keys: readonly LogKeyInForce[] } | undefined;

  constructor(options: CheckpointsOptions) {
    this.#options = options;
    this.#cosigners = options.cosigners.map((open) =>
      open({
        prove: options.prove,
        onCosigned: (size, signatures) => this.#addCosignatures(size, signatures),
        refusal: () => this.#cosignersRefusal(),
      }),
    );
  }

  get published(): PublishedCheckpoint | undefined {
    return this.#published;
  }

  /** That the published checkpoint's root is of; the empty one while there is none. */
  get tree(): LogTree {
    return this.#sealed?.tree ?? LogTree.EMPTY;
  }

  /** Cosigners look whether they have seen entries that an empty store should hold. */
  async beginEmpty(): Promise<void> {
    await Promise.all(this.#cosigners.map((cosigner) => cosigner.beginEmpty?.()));
  }

  /** Why nothing may be written after `chain`. */
  refusal(chain: Chain | null): RegistryError | undefined {
    if (chain !== null && !isSignable(this.#keysOf(chain.governance)))
      return unsignable(chain.governance, this.#options.signers);
    return this.#unsigned ?? this.#cosignersRefusal();
  }

  /** Throws unless a checkpoint could be signed under this governance. */
  assertSignable(governance: Governance): void {
    const { signers } = this.#options;
    // An empty registry may be begun where its log key is not.
    if (signers.length > 0 && !isSignable(logKeysInForce(governance, signers)))
      throw unsignable(governance, signers);
  }

  /**
   * As it was kept and verified. Cosigners hear of it only where it covers the whole log: what was kept
   * lags, and a witness that has seen more would look as if it were ahead.
   */
  restore(sealed: Sealed, { isNewest }: { readonly isNewest: boolean }): void {
    this.#replace(sealed);
    this.#kept = this.#published?.note;
    if (isNewest) this.#submit();
  }

  /**
   * Reads back what was appended from version `from` on, and signs. `undefined`: no key could; it is
   * tried again. Throws `storage_damaged` when the store does not hold what it took.
   */
  async seal(chain: Chain, from: number): Promise<Sealed | undefined> {
    await assertReadBack(this.#options.store, chain, from);
    return this.sign(chain);
  }

  /** With one assignment; then cosigners hear of it. Never an older one than before. */
  publish(sealed: Sealed | undefined): void {
    if (sealed === undefined || sealed.tree.size < this.tree.size) return;
    // Signed again at the same size, the text is the same: what cosigners said of it stands.
    const before = sealed.tree.size === this.tree.size ? this.#sealed?.checkpoint : undefined;
    this.#replace(
      before === undefined
        ? sealed
        : {
            ...sealed,
            checkpoint: withSignatures(sealed.checkpoint, before.signatures, 'missing'),
          },
    );
    this.#submit();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#options.timers.clearTimeout(this.#retry);
    this.#options.timers.clearTimeout(this.#keepTimer);
    await Promise.all(this.#cosigners.map((cosigner) => cosigner[Symbol.asyncDispose]()));
    await this.#keep();
  }

  /** Of a chain whose entries are known to be durable. `undefined`: no key could; it is tried again. */
  async sign(chain: Chain): Promise<Sealed | undefined> {
    const { log, timers } = this.#options;
    timers.clearTimeout(this.#retry);
    // Without a key there is nothing to try again: `refusal` says so.
    const keys = this.#keysOf(chain.governance);
    if (!isSignable(keys)) return undefined;
    try {
      const checkpoint = await signCheckpoint(chain, keys);
      this.#failures = 0;
      return { checkpoint, tree: chain.tree };
    } catch (cause) {
      log.error('the log key does not sign', { cause });
      // Meanwhile a larger one was signed: nothing waits for this.
      if (chain.tree.size < this.tree.size) return undefined;
      this.#unsigned = new RegistryError(
        'not_ready',
        `expected a signed checkpoint of ${chain.tree.size} entries, got none: ${toRegistryError(cause).message}`,
        { cause },
      );
      const delayMs = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** this.#failures++);
      this.#retry = timers.setTimeout(() => void this.#signAgain(chain), delayMs);
      return undefined;
    }
  }

  #keysOf(governance: Governance): readonly LogKeyInForce[] {
    if (this.#inForce?.of !== governance)
      this.#inForce = {
        of: governance,
        keys: logKeysInForce(governance, this.#options.signers),
      };
    return this.#inForce.keys;
  }

  async #signAgain(chain: Chain): Promise<void> {
    const sealed = await this.sign(chain);
    if (sealed === undefined || sealed.tree.size < this.tree.size) return;
    this.publish(sealed);
    this.#options.onRenewed();
  }

  #cosignersRefusal(): RegistryError | undefined {
    for (const cosigner of this.#cosigners) {
      const refusal = cosigner.refusal();
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  #replace(sealed: Sealed): void {
    this.#unsigned = undefined;
    this.#sealed = sealed;
    this.#published = toPublished(sealed.checkpoint);
    this.#keepSoon();
  }

  #submit(): void {
    if (this.#published === undefined) return;
    for (const cosigner of this.#cosigners) cosigner.submit(this.#published);
  }

  /** Each cosigner's newest signature, in the order in which they first signed. */
  #addCosignatures(size: number, signatures: readonly NoteSignature[]): void {
    if (this.#sealed?.tree.size !== size || signatures.length === 0) return;
    const { checkpoint, tree } = this.#sealed;
    const cosigned = withSignatures(checkpoint, signatures, 'newer');
    const isGrown = cosigned.signatures.length > checkpoint.signatures.length;
    this.#sealed = { checkpoint: cosigned, tree };
    this.#published = toPublished(this.#sealed.checkpoint);
    this.#keepSoon();
    if (isGrown) this.#options.onRenewed();
  }

  #keepSoon(): void {
    const { timers } = this.#options;
    this.#keepTimer ??= timers.setTimeout(() => {
      this.#keepTimer = undefined;
      void this.#keep();
    }, KEEP_MS);
  }

  /** Losing it costs a start a few more reads: a full disk is no reason to stop. */
  #keep(): Promise<void> {
    const { store, log, onFatal } = this.#options;
    this.#keeping = this.#keeping.then(async () => {
      const note = this.#published?.note;
      if (note === undefined || note === this.#kept) return;
      try {
        await store.putCheckpoint(note);
        this.#kept = note;
      } catch (cause) {
        const error = toRegistryError(cause);
        log.warn('the checkpoint was not kept', { cause });
        if (error.code !== 'read_only') onFatal(error);
      }
    });
    return this.#keeping;
  }
}

/** One line of each key, in the order in which the keys first signed; `newer` lines replace, `missing` ones do not. */
function withSignatures(
  checkpoint: Checkpoint & Note,
  added: readonly NoteSignature[],
  kind: 'newer' | 'missing',
): Checkpoint & Note {
  const lines = new Map(checkpoint.signatures.map((line) => [keyOf(line), line]));
  for (const line of added)
    if (kind === 'newer' || !lines.has(keyOf(line))) lines.set(keyOf(line), line);
  return { ...checkpoint, signatures: [...lines.values()] };
}

function toPublished({
  origin,
  size,
  root,
  text,
  signatures,
}: Checkpoint & Note): PublishedCheckpoint {
  const note = encodeNote({ text, signatures });
  const bytes = encodeUtf8(note);
  return Object.freeze({ origin, size, root, note, bytes, etag: `"${hashOf(bytes)}"` });
}

function keyOf({ name, keyId }: NoteSignature): string {
  return `${name}+${keyId}`;
}

function toRegistryError(error: unknown): RegistryError {
  if (error instanceof RegistryError) return error;
  return new RegistryError(
    'internal',
    `expected an answer, got ${error instanceof Error ? error.message : String(error)}`,
    {
      cause: error,
    },
  );
}
