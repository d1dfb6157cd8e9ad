/**
 * A witness for any logs (C2SP tlog-witness): cosigns a checkpoint only if it adds to the one cosigned
 * before, and keeps that before it answers. What HTTP makes of the answers is not its matter.
 */
import { isEqualBytes } from '../core/bytes.ts';
import { RegistryError } from '../core/error.ts';
import { formatTime } from '../core/time.ts';
import { type AddCheckpoint, parseAddCheckpoint } from '../core/tlog/add-checkpoint.ts';
import { originHash } from '../core/tlog/log-list.ts';
import { EMPTY_ROOT, isConsistent } from '../core/tlog/merkle.ts';
import { encodeNote, encodeSignature, isSignatureBy } from '../core/tlog/note.ts';
import {
  type NoteVerifier,
  readSignedCheckpoint,
  type SignedCheckpoint,
  signersOf,
} from '../core/tlog/note-signatures.ts';
import type { VerifierKey } from '../core/vkey.ts';
import type { WitnessedCheckpoint, WitnessStore } from '../store/witness-store.ts';
import type { Log } from '../telemetry/log.ts';
import { type CosignerKey, cosign } from './witness-cosign.ts';

export interface WatchedLog {
  readonly origin: string;
  readonly keys: readonly VerifierKey[];
}

export interface LogWitnessOptions {
  readonly key: CosignerKey;
  /** Each origin once. */
  readonly logs: readonly WatchedLog[];
  readonly store: WitnessStore;
  readonly verifier: NoteVerifier;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** What was written is unknown: end the process. */
  readonly onFatal: (error: RegistryError) => void;
}

export type WitnessReply =
  /** Signature lines. */
  | { readonly result: 'cosigned'; readonly lines: string }
  /** The size that was cosigned last. */
  | { readonly result: 'conflict'; readonly size: number }
  | {
      readonly result: 'malformed' | 'unknown_origin' | 'forbidden' | 'invalid_proof';
      /** For the log's operator. */
      readonly reason: string;
    };

type Refusal = Exclude<WitnessReply, { readonly result: 'cosigned' }>;

export class LogWitness {
  readonly #options: LogWitnessOptions;
  readonly #logs: ReadonlyMap<string, WatchedLog>;
  readonly #hashes: ReadonlyMap<string, string>;
  /** By origin: requests are decided one after the other. */
  readonly #lanes = new Map<string, Promise<unknown>>();

  constructor(options: LogWitnessOptions) {
    this.#options = options;
    this.#logs = new Map(options.logs.map((log) => [log.origin, log]));
    this.#hashes = new Map(options.logs.map(({ origin }) => [originHash(origin), origin]));
  }

  get vkey(): string {
    return this.#options.key.vkey;
  }

  get origins(): readonly string[] {
    return [...this.#logs.keys()];
  }

  /** Throws `read_only`, `storage_damaged`, or what the signing key throws: nothing was cosigned. */
  async addCheckpoint(body: string): Promise<WitnessReply> {
    const read = readRequest(body);
    if ('result' in read) return read;
    const { request, checkpoint } = read;
    const watched = this.#logs.get(checkpoint.origin);
    if (watched === undefined)
      return { result: 'unknown_origin', reason: 'this origin is not known here' };
    const forbidden = await this.#judgeSignatures(checkpoint, watched);
    if (forbidden !== undefined) return forbidden;
    const before = this.#lanes.get(watched.origin) ?? Promise.resolve();
    const decided = before.then(() => this.#decide(request, checkpoint, watched));
    this.#lanes.set(
      watched.origin,
      decided.catch(() => undefined),
    );
    return decided;
  }

  /** Resolves when nothing is being decided any more: then the store may be closed. */
  async idle(): Promise<void> {
    await Promise.all(this.#lanes.values());
  }

  /** The newest checkpoint cosigned, by `originHash`. */
  checkpoint(hash: string): string | undefined {
    const origin = this.#hashes.get(hash);
    return origin === undefined ? undefined : this.#options.store.latest(origin)?.note;
  }

  async #judgeSignatures(
    checkpoint: SignedCheckpoint,
    { keys }: WatchedLog,
  ): Promise<Refusal | undefined> {
    try {
      const signers = await signersOf(checkpoint, keys, this.#options.verifier);
      return signers.size > 0
        ? undefined
        : { result: 'forbidden', reason: 'no signature is by a key that is known here' };
    } catch (error) {
      return { result: 'forbidden', reason: messageOf(error) };
    }
  }

  async #decide(
    request: AddCheckpoint,
    checkpoint: SignedCheckpoint,
    watched: WatchedLog,
  ): Promise<WitnessReply> {
    const latest = await this.#latest(watched);
    const refusal = this.#judge(request, checkpoint, latest);
    if (refusal !== undefined) return refusal;
    const { key, store, now } = this.#options;
    // Time never goes back, whatever the clock of this machine does.
    const time = Math.max(latest?.time ?? 0, Math.floor(now() / 1000));
    const cosignature = await cosign(checkpoint, key, time);
    const { origin, size, root, text, signatures } = checkpoint;
    const own = signatures.filter((line) => watched.keys.some((k) => isSignatureBy(line, k)));
    const note = encodeNote({ text, signatures: [...own, cosignature] });
    const outcome = this.#keep(() => store.replace({ origin, size, root, time, note }, latest));
    if (outcome === 'conflict')
      return { result: 'conflict', size: store.latest(origin)?.size ?? 0 };
    return { result: 'cosigned', lines: encodeSignature(cosignature) };
  }

  #judge(
    { old, proof }: AddCheckpoint,
    checkpoint: SignedCheckpoint,
    latest: WitnessedCheckpoint | undefined,
  ): Refusal | undefined {
    const { size, root } = checkpoint;
    if (latest !== undefined && latest.size === size && !isEqualBytes(latest.root, root))
      this.#keepFork(latest, checkpoint);
    if (old > size)
      return { result: 'malformed', reason: `old ${old} is more than the checkpoint's ${size}` };
    if (old !== (latest?.size ?? 0)) return { result: 'conflict', size: latest?.size ?? 0 };
    const fromRoot = latest?.root ?? EMPTY_ROOT;
    if (isConsistent({ from: old, size, proof, fromRoot, root })) return undefined;
    this.#options.log.warn('a log did not prove its checkpoint', {
      origin: checkpoint.origin,
      old,
      size,
      checkpoint: checkpoint.note,
    });
    return { result: 'invalid_proof', reason: `this does not prove that ${old} grew to ${size}` };
  }

  /** As it was kept, checked against the witness's own signature: what was changed on the disk is not gone on from. */
  async #latest({ origin, keys }: WatchedLog): Promise<WitnessedCheckpoint | undefined> {
    const { store, key, verifier } = this.#options;
    const kept = store.latest(origin);
    if (kept === undefined) return undefined;
    try {
      const checkpoint = readSignedCheckpoint(kept.note);
      const signers = await signersOf(checkpoint, [key.key, ...keys], verifier);
      const isSame =
        checkpoint.origin === origin &&
        checkpoint.size === kept.size &&
        isEqualBytes(checkpoint.root, kept.root);
      if (isSame && signers.size > 0)
        return { ...kept, time: Math.max(kept.time, signers.get(key.key) ?? 0) };
    } catch (cause) {
      throw damaged(origin, cause);
    }
    throw damaged(origin, undefined);
  }

  #keepFork(latest: WitnessedCheckpoint, { origin, size, note }: SignedCheckpoint): void {
    const { store, log, now } = this.#options;
    log.error('a log shows two histories: both are signed by it', {
      origin,
      size,
      kept: latest.note,
      offered: note,
    });
    this.#keep(() =>
      store.keepFork({ origin, seenAt: formatTime(now()), kept: latest.note, offered: note }),
    );
  }

  #keep<T>(write: () => T): T {
    try {
      return write();
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code === 'read_only') throw error;
      this.#options.onFatal(error);
      throw error;
    }
  }
}

function readRequest(
  body: string,
): { readonly request: AddCheckpoint; readonly checkpoint: SignedCheckpoint } | Refusal {
  try {
    const request = parseAddCheckpoint(body);
    return { request, checkpoint: readSignedCheckpoint(request.note) };
  } catch (error) {
    return { result: 'malformed', reason: messageOf(error) };
  }
}

function messageOf(error: unknown): string {
  if (error instanceof RegistryError) return error.message;
  throw error;
}

function damaged(origin: string, cause: unknown): RegistryError {
  return new RegistryError(
    'storage_damaged',
    `expected what was cosigned of ${origin} as it was kept, got another text: restore nothing older; see the log`,
    { cause },
  );
}
