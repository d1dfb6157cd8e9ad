/** Certificates for tests, made by openssl: node:crypto reads X.509 and makes none. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export interface CertificateFiles {
  readonly certPath: string;
  readonly keyPath: string;
}

export interface Certificates {
  readonly directory: string;
  /** Self-signed, for 127.0.0.1 and localhost, by default two days long. */
  make(name: string, parameters?: readonly string[]): CertificateFiles;
}

/** In a directory that ends with the test; `undefined`, and the test skipped, where there is no openssl. */
export function openCertificates(t: TestContext): Certificates | undefined {
  if (spawnSync('openssl', ['version']).status !== 0) {
    assert.notEqual(process.env.QUORATE_CI, '1', 'expected openssl, got none');
    t.skip('SKIPPED, NOT PASSED: certificates are made by openssl, and there is none');
    return undefined;
  }
  const directory = mkdtempSync(join(tmpdir(), 'quorate-tls-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const make = (name: string, parameters: readonly string[] = ['-days', '2']) => {
    const certPath = join(directory, `${name}.crt`);
    const keyPath = join(directory, `${name}.key`);
    const kind = '-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'.split(' ');
    const names = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    const files = ['-keyout', keyPath, '-out', certPath];
    execFileSync('openssl', ['req', ...kind, ...names, ...files, ...parameters], { stdio: 'pipe' });
    return { certPath, keyPath };
  };
  return { directory, make };
}
