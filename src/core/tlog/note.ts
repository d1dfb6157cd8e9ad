/**
 * C2SP signed notes: a text and the signatures under it, read strictly and written back to the same
 * bytes. What a text means and which signatures count is decided elsewhere.
 */
import { bytesToHex, concatBytes, hexToBytes } from '@noble/hashes/utils.js';
import { decodeBase64, encodeBase64 } from '../bytes.ts';
import { excerpt, RegistryError } from '../error.ts';
import type { VerifierKey } from '../vkey.ts';

export interface NoteSignature {
  readonly name: string;
  /** 8 lower-case hex digits. */
  readonly keyId: string;
  /** What follows the key id. */
  readonly signature: Uint8Array;
}

export interface Note {
  /** Ends in a line feed. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** Signed-note asks for at least 16; Go's reader refuses more than 100. */
const MAX_SIGNATURES = 100;
/** Room for that many of the largest kind. */
export const MAX_NOTE_CHARACTERS = 512 * 1024;

export function encodeNote({ text, signatures }: Note): string {
  return `${text}\n${signatures.map(encodeSignature).join('')}`;
}

/** One line, ended by a line feed. */
export function encodeSignature({ name, keyId, signature }: NoteSignature): string {
  return `\u2014 ${name} ${encodeBase64(concatBytes(hexToBytes(keyId), signature))}\n`;
}

/** Throws `invalid_checkpoint`. */
export function parseNote(note: string): Note {
  if (note.length > MAX_NOTE_CHARACTERS) throw noNote(`${note.length} characters`);
  // The text may hold empty lines: the last one ends it.
  const end = note.lastIndexOf('\n\n');
  if (end < 1 || hasControl(note)) throw noNote(excerpt(note));
  const signatures = parseSignatures(note.slice(end + 2));
  if (signatures.length === 0) throw noNote('no signature');
  return { text: note.slice(0, end + 1), signatures };
}

/** Signature lines alone, as a witness answers. Throws `invalid_checkpoint`. */
export function parseSignatures(lines: string): readonly NoteSignature[] {
  if (lines !== '' && !lines.endsWith('\n')) throw noNote('a signature line without an end');
  const found = lines.split('\n').slice(0, -1).map(parseSignature);
  if (found.length > MAX_SIGNATURES) throw noNote(`${found.length} signatures`);
  return found;
}

export function isSignatureBy({ name, keyId }: NoteSignature, key: VerifierKey): boolean {
  return name === key.name && keyId === key.keyId;
}

function parseSignature(line: string): NoteSignature {
  // U+0085 is a space to Unicode, and so to other readers, but not to \s.
  const match = /^\u2014 ([^+\s\u0085]+) ([A-Za-z0-9+/]+={0,2})$/u.exec(line);
  const bytes = match?.[2] === undefined ? undefined : decodeBase64(match[2]);
  if (match?.[1] === undefined || bytes === undefined || bytes.length < 5)
    throw noNote(`the signature line ${excerpt(line)}`);
  return {
    name: match[1],
    keyId: bytesToHex(bytes.subarray(0, 4)),
    signature: bytes.subarray(4),
  };
}

/** Signed-note: no ASCII control character but the line feed. */
function hasControl(text: string): boolean {
  return /[\u0000-\u0009\u000b-\u001f]/.test(text);
}

function noNote(got: string): RegistryError {
  return new RegistryError('invalid_checkpoint', `expected a c2sp signed note, got ${got}`);
}
