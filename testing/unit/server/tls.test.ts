import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Config, loadConfig } from '../../../src/server/config.ts';
import { openTls, type TlsCertificate } from '../../../src/server/listen/tls.ts';
import type { LogFields } from '../../../src/telemetry/log.ts';
import { type CertificateFiles, openCertificates } from '../../support/server-certificates.ts';

interface Opened {
  readonly certificate: TlsCertificate | undefined;
  readonly notAfter: readonly number[];
  readonly warnings: readonly string[];
  /** Every text that was logged. */
  readonly logged: readonly string[];
}

async function opened(tls: Config['tls'], nowMs = Date.now()): Promise<Opened> {
  const notAfter: number[] = [];
  const warnings: string[] = [];
  const logged: string[] = [];
  const write = (message: string, fields: LogFields = {}) =>
    void logged.push(message, JSON.stringify(fields));
  const warn = (message: string, fields?: LogFields) => {
    warnings.push(message);
    write(message, fields);
  };
  const certificate = await openTls(tls, {
    metrics: { certificate: (seconds) => notAfter.push(seconds) },
    log: { debug: write, info: write, warn, error: warn },
    now: () => nowMs,
  });
  return { certificate, notAfter, warnings, logged };
}

function configWith(tls: CertificateFiles): Config {
  return { ...loadConfig(), tls };
}

const refused = (message: RegExp) => ({ code: 'invalid_request', message });

test('without files there is no TLS', async () => {
  const { certificate, notAfter } = await opened(null);
  assert.deepEqual([certificate, notAfter], [undefined, []]);
});

test('a certificate is opened for TLS 1.3 only, and its end is measured', async (t) => {
  const files = openCertificates(t)?.make('one');
  if (files === undefined) return;
  const { certificate, notAfter, warnings } = await opened(files);
  const { minVersion, maxVersion, cert } = certificate?.context ?? {};
  assert.deepEqual([minVersion, maxVersion], ['TLSv1.3', 'TLSv1.3']);
  assert.equal(cert, readFileSync(files.certPath, 'utf8'));
  const end = new X509Certificate(readFileSync(files.certPath)).validToDate.getTime();
  assert.deepEqual([notAfter, warnings], [[end / 1000], []]);
});

test('a certificate out of its time is served, for the clock may be wrong, and told', async (t) => {
  const files = openCertificates(t)?.make('one', ['-days', '1']);
  if (files === undefined) return;
  const { validFromDate, validToDate } = new X509Certificate(readFileSync(files.certPath));
  const atMs = async (nowMs: number) => (await opened(files, nowMs)).warnings.length;
  assert.equal(await atMs(validFromDate.getTime() - 1), 1);
  assert.equal(await atMs(validFromDate.getTime()), 0);
  assert.equal(await atMs(validToDate.getTime()), 0);
  assert.equal(await atMs(validToDate.getTime() + 1), 1);
});

/** What is wrong with a pair, made from two good ones. */
function brokenPairs(directory: string, one: CertificateFiles, two: CertificateFiles) {
  const file = (name: string, text: string, mode = 0o600) => {
    const path = join(directory, name);
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  };
  const key = readFileSync(one.keyPath, 'utf8');
  const encrypted = join(directory, 'encrypted.key');
  const convert = ['pkcs8', '-topk8', '-in', one.keyPath, '-out', encrypted, '-passout', 'pass:x'];
  execFileSync('openssl', convert, { stdio: 'pipe' });
  chmodSync(encrypted, 0o600);
  const pipe = join(directory, 'pipe');
  execFileSync('mkfifo', ['-m', '600', pipe]);
  const cert = one.certPath;
  return [
    [{ ...one, keyPath: two.keyPath }, /two\.key to be the private key of .*one\.crt/],
    [{ ...one, certPath: one.keyPath }, /expected a pem certificate at .*one\.key, got something/],
    [
      { certPath: cert, keyPath: file('cert.key', readFileSync(cert, 'utf8')) },
      /to be the private/,
    ],
    [{ certPath: cert, keyPath: file('cut.key', key.slice(0, 80)) }, /to be the private key/],
    [{ certPath: cert, keyPath: file('open.key', key, 0o640) }, /alone .* mode 0640: chmod 600/],
    [{ certPath: cert, keyPath: file('read.key', key, 0o604) }, /alone .* got mode 0604/],
    [{ certPath: cert, keyPath: encrypted }, /without a passphrase at .*encrypted\.key/],
    [{ certPath: cert, keyPath: pipe }, /got no regular file/],
    [{ certPath: cert, keyPath: directory }, /got no regular file/],
    [{ certPath: cert, keyPath: join(directory, 'none') }, /none, got ENOENT/],
    [{ ...one, certPath: join(directory, 'none') }, /none, got ENOENT/],
    [{ ...one, certPath: file('empty.crt', '') }, /expected a pem certificate/],
    [{ ...one, certPath: file('big.crt', 'x'.repeat(262_145)) }, /got more than 262144 bytes/],
  ] as const;
}

test('what cannot serve is refused in words that name the file and hold nothing of the key', async (t) => {
  const certificates = openCertificates(t);
  if (certificates === undefined) return;
  const one = certificates.make('one');
  const pairs = brokenPairs(certificates.directory, one, certificates.make('two'));
  const [, line = ''] = readFileSync(one.keyPath, 'utf8').split('\n');
  for (const [files, message] of pairs) {
    const error = await opened(files).then(
      () => assert.fail(`opened: ${message}`),
      (refusal: unknown) => refusal,
    );
    assert.ok(error instanceof Error);
    assert.match(error.message, message);
    assert.ok(!`${error.stack} ${String(error.cause)}`.includes(line.slice(0, 20)), 'no key bytes');
  }
});

/** What listens is told of each certificate that is taken up. */
function listenTo(certificate: TlsCertificate | undefined): unknown[] {
  const taken: unknown[] = [];
  certificate?.onChange(({ cert }) => taken.push(cert));
  return taken;
}

async function stageOf(t: TestContext) {
  const certificates = openCertificates(t);
  if (certificates === undefined) return undefined;
  const files = certificates.make('served');
  const next = certificates.make('next', ['-days', '9']);
  return { files, next, ...(await opened(files)) };
}

test('a reload prepares without a change, and then takes the new pair up', async (t) => {
  const stage = await stageOf(t);
  if (stage === undefined) return;
  const { certificate, files, next, notAfter } = stage;
  const taken = listenTo(certificate);
  copyFileSync(next.certPath, files.certPath);
  copyFileSync(next.keyPath, files.keyPath);
  const apply = await certificate?.prepare(configWith(files));
  assert.deepEqual([taken, notAfter.length], [[], 1]);
  apply?.();
  const cert = readFileSync(next.certPath, 'utf8');
  assert.deepEqual([taken, certificate?.context.cert], [[cert], cert]);
  const end = new X509Certificate(cert).validToDate.getTime() / 1000;
  assert.equal(notAfter.at(-1), end);
});

test('a broken pair is refused at a reload, and the old one stays in use', async (t) => {
  const stage = await stageOf(t);
  if (stage === undefined) return;
  const { certificate, files, next, notAfter } = stage;
  const taken = listenTo(certificate);
  const before = certificate?.context;
  // A renewal that was caught half-way.
  copyFileSync(next.certPath, files.certPath);
  assert.ok(certificate);
  await assert.rejects(certificate.prepare(configWith(files)), refused(/to be the private key/));
  assert.deepEqual([taken, notAfter.length, certificate.context], [[], 1, before]);
});

test('nothing of the key is logged', async (t) => {
  const files = openCertificates(t)?.make('one');
  if (files === undefined) return;
  const { logged } = await opened(files);
  assert.ok(logged.length > 0);
  assert.doesNotMatch(logged.join(), /PRIVATE|BEGIN/);
});
