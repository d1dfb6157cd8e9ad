/** The tree of a log that a dishonest server shows, its proofs, and notes over it by whichever key is at hand. */
import { encodeBase64, encodeUtf8 } from '../../src/core/bytes.ts';
import { encodeLeaf } from '../../src/core/leaf.ts';
import { encodeCheckpoint } from '../../src/core/tlog/checkpoint.ts';
import { encodeNote, encodeSignature, type NoteSignature } from '../../src/core/tlog/note.ts';
import { encodeVerifierKey, parseVerifierKey } from '../../src/core/vkey.ts';
import type { CheckpointSigner } from '../../src/registry/options.ts';
import type { Log } from './client-lies.ts';
import { ReferenceTree } from './core-tlog.ts';
import { LOG_SIGNER, ORIGIN } from './signers.ts';

export interface NoteOptions {
  readonly signers?: readonly CheckpointSigner[];
  readonly origin?: string;
  /** Further signatures over the note's text. */
  readonly more?: (text: string) => readonly NoteSignature[];
}

export class LogView {
  readonly #log: Log;
  readonly #tree: ReferenceTree;

  constructor(log: Log) {
    this.#log = log;
    this.#tree = new ReferenceTree(log.map(({ leaf }) => encodeLeaf(leaf)));
  }

  get size(): number {
    return this.#log.length;
  }

  root(size = this.size): Uint8Array {
    return this.#tree.root(0, size);
  }

  note(options: NoteOptions & { readonly size?: number } = {}): Promise<string> {
    const { size = this.size } = options;
    return signNote({ size, root: this.root(size) }, options);
  }

  consistency(from: number, size: number): object {
    const proof = from === 0 ? [] : this.#tree.subproof(from, 0, size);
    return { from, proof: proof.map(encodeBase64), size };
  }

  inclusion(index: number, size: number): object {
    return { leaf_index: index, proof: this.#tree.path(index, 0, size).map(encodeBase64), size };
  }
}

export async function signNote(
  { size, root }: { readonly size: number; readonly root: Uint8Array },
  { signers = [LOG_SIGNER], origin = ORIGIN, more = () => [] }: NoteOptions = {},
): Promise<string> {
  const text = encodeCheckpoint({ origin, size, root });
  const signatures = await Promise.all(signers.map((signer) => logSignature(text, signer, origin)));
  return encodeNote({ text, signatures: [...signatures, ...more(text)] });
}

export async function logSignature(
  text: string,
  signer: CheckpointSigner,
  name = ORIGIN,
): Promise<NoteSignature> {
  const { keyId = '' } = parseVerifierKey(encodeVerifierKey({ name, ...signer })) ?? {};
  return { name, keyId, signature: await signer.sign(encodeUtf8(text)) };
}

/** `note` with more signatures under it. */
export function withSignatures(note: string, signatures: readonly NoteSignature[]): string {
  return note + signatures.map(encodeSignature).join('');
}
