/**
 * Shows a registry's checkpoint, and holds its signature against the log's verifier key. Exit status 1
 * unless that key signed it. Usage: checkpoint.ts URL VKEY-FILE
 */
import { readFileSync } from 'node:fs';
import { readSignedCheckpoint, signersOf } from '../../src/core/tlog/note-signatures.ts';
import { parseVerifierKey } from '../../src/core/vkey.ts';
import { createNoteVerifier } from '../../src/server/note-verifier.ts';

const [url = '', path = ''] = process.argv.slice(2);
const key = parseVerifierKey(readFileSync(path, 'utf8').trim());
if (key === undefined) throw new Error(`expected a verifier key in ${path}, found none`);
const note = await (await fetch(`${url}/checkpoint`)).text();
console.log(note.trimEnd());
const signers = await signersOf(readSignedCheckpoint(note), [key], createNoteVerifier());
console.log(`${signers.has(key) ? 'signed' : 'NOT SIGNED'} by ${key.name}+${key.keyId}`);
process.exitCode = signers.has(key) ? 0 : 1;
