/** What a commit cannot do without, alone: a synced append, a row in SQLite, signatures. */
import { createPublicKey, sign, verify } from 'node:crypto';
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { privateKeyOf } from '../support/signers.ts';

const BYTES = new Uint8Array(4_096).fill(120);

export interface Bare extends Disposable {
  readonly name: string;
  /** One turn, done when it returns. */
  run(): void;
}

export function fsyncedAppend(directory: string): Bare {
  const file = openSync(join(directory, 'bare.log'), 'a');
  return {
    name: 'append of 4 KB and fdatasync',
    run: () => {
      writeSync(file, BYTES);
      fdatasyncSync(file);
    },
    [Symbol.dispose]: () => closeSync(file),
  };
}

export function sqliteInsert(directory: string): Bare {
  const db = new Database(join(directory, 'bare.db'));
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.exec('CREATE TABLE row (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT');
  const insert = db.prepare('INSERT INTO row (bytes) VALUES (?)');
  insert.run(BYTES);
  if (db.pragma('synchronous', { simple: true }) !== 2)
    throw new Error('expected SQLite to sync in full, it does not');
  return {
    name: 'SQLite FULL, one insert',
    run: () => void insert.run(BYTES),
    [Symbol.dispose]: () => void db.close(),
  };
}

export function signatureCheck(count = 1): Bare {
  const message = new Uint8Array(250);
  const key = privateKeyOf('signer-000');
  const signature = sign(null, message, key);
  const publicKey = createPublicKey(key);
  return {
    name: count === 1 ? 'crypto.verify' : `crypto.verify of ${count}`,
    run: () => {
      for (let i = 0; i < count; i++)
        if (!verify(null, message, publicKey, signature))
          throw new Error('expected the signature to verify');
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** Milliseconds. */
export function timed(run: () => void): number {
  const began = performance.now();
  run();
  return performance.now() - began;
}

/** Turns a second. */
export function rateOf({ run }: Bare, turns: number): number {
  const ms = timed(() => {
    for (let i = 0; i < turns; i++) run();
  });
  return (turns * 1_000) / ms;
}
