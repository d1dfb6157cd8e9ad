/**
 * A log as a command takes it apart, from a service or from a database: its checkpoint, single entries
 * and proofs. Nothing that comes from it was judged.
 */
import type { EntryBytes } from '../core/leaf.ts';

export interface LogSource extends AsyncDisposable {
  /** The newest signed checkpoint with its cosignatures. */
  note(): Promise<string>;
  /** Throws `erased` or `pruned` for one whose payload is gone. */
  entry(version: number): Promise<EntryBytes>;
  /** Of a version below `size`. It is there for every one. */
  leaf(place: { readonly version: number; readonly size: number }): Promise<Uint8Array>;
  /** The leaf's sibling first, 32 bytes each. */
  inclusionProof(place: {
    readonly version: number;
    readonly size: number;
  }): Promise<readonly Uint8Array[]>;
}
