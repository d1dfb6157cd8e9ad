/** Log keys as files that a server reads; gone with the process. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { privateKeyOf } from './signers.ts';

const root = mkdtempSync(join(tmpdir(), 'quorate-log-key-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));

/** A fresh one, for keys and programs. */
export function keyDirectory(): string {
  return mkdtempSync(join(root, 'keys-'));
}

/** Of the key that `makeLogSigner` gives the name; `log` is the one that `makeGovernance` lists. */
export function logKeyFile(name = 'log'): string {
  const path = join(root, `${name}.pem`);
  writeFileSync(path, privateKeyOf(name).export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  return path;
}
