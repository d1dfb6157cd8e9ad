/**
 * The seam between the log's checkpoints and those who sign them too: witnesses elsewhere, a clock
 * here. A cosigner is handed each new checkpoint, hands signatures back when it has them, and may say
 * that nothing must be written.
 */
import type { RegistryError } from '../core/error.ts';
import type { NoteSignature } from '../core/tlog/note.ts';
import type { PublishedCheckpoint } from './registry.ts';

export interface Cosigner extends AsyncDisposable {
  /** The process started with an empty store. Refuses from then on if entries were seen here before; never rejects. */
  beginEmpty?(): Promise<void>;
  /** The log grew, or the process started: this is now to be cosigned. Awaits nobody, never throws. */
  submit(checkpoint: PublishedCheckpoint): void;
  /** Why nothing may be written yet, or any more; `undefined`: go ahead. */
  refusal(): RegistryError | undefined;
}

/** What a cosigner may ask and tell. */
export interface CosignerPort {
  /** Verified signatures over the checkpoint of `size`; dropped unless that is the published one. */
  readonly onCosigned: (size: number, signatures: readonly NoteSignature[]) => void;
  /** Consistency between two sizes up to the published one. Throws `storage_damaged`. */
  readonly prove: (sizes: {
    readonly from: number;
    readonly size: number;
  }) => Promise<readonly Uint8Array[]>;
  /** Why one of the cosigners says that nothing may be written; `undefined`: none does. */
  readonly refusal: () => RegistryError | undefined;
}

export type OpenCosigner = (port: CosignerPort) => Cosigner;
