/**
 * Copies a database, also one in use, and changes one byte of what signers approved: a character of
 * the first occurrence of TEXT. Usage: flip-byte.ts DATABASE COPY TEXT
 */
import { readFileSync, writeFileSync } from 'node:fs';
import Database from 'better-sqlite3';

const [source = '', copy = '', text = ''] = process.argv.slice(2);
const database = new Database(source, { readonly: true });
// Not a plain copy: that would also have pages which nothing reads any more.
database.prepare('VACUUM INTO ?').run(copy);
database.close();
const bytes = readFileSync(copy);
const at = bytes.indexOf(text);
if (at < 0) throw new Error(`expected ${text} in ${source}, found it nowhere`);
const before = bytes[at] ?? 0;
bytes[at] = before ^ 1;
writeFileSync(copy, bytes);
console.log(
  `byte ${at}: ${String.fromCharCode(before)} is now ${String.fromCharCode(before ^ 1)} in ${copy}`,
);
