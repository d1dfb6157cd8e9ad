/** Everything this machine can verify: approvals, and checkpoints by keys of every kind. */
import type { NoteVerifier } from '../core/tlog/note-signatures.ts';
import type { Verifier } from '../core/verifier.ts';
import { createNativeVerifier } from '../server/native-verifier.ts';
import { createNoteVerifier } from '../server/note-verifier.ts';

export type FullVerifier = Verifier & NoteVerifier;

export function createFullVerifier(): FullVerifier {
  return { ...createNativeVerifier(), ...createNoteVerifier() };
}
