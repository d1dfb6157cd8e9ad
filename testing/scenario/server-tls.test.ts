import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { Address } from '../../src/server/config-values.ts';
import type { HttpServerOptions } from '../../src/server/http-server.ts';
import { openTls } from '../../src/server/listen/tls.ts';
import { type CertificateFiles, openCertificates } from '../support/server-certificates.ts';
import { DEFAULT_TIMEOUTS } from '../support/server-listening.ts';
import { ask, capped, request } from '../support/server-peers.ts';
import { connected, exchange, statuses, untilClosed } from '../support/server-socket.ts';
import { startTestServer, type TestServer } from '../support/server-start.ts';

const GET = 'GET /version HTTP/1.1\r\nHost: localhost\r\n';
// Long enough for a busy machine to shake hands in.
const SHORT = { headers_timeout: '2s', request_timeout: '3s' };

interface Stage {
  readonly server: TestServer;
  readonly files: CertificateFiles;
  /** Replaces the files on disk. */
  renew(name: string): void;
  shake(options?: ConnectionOptions): TLSSocket;
}

/** `undefined`, and the test skipped, where there is no openssl. */
async function stageOf(
  t: TestContext,
  settings: Readonly<Record<string, string>> = {},
): Promise<Stage | undefined> {
  const certificates = openCertificates(t);
  if (certificates === undefined) return undefined;
  const files = certificates.make('first');
  const paths = { tls_cert: files.certPath, tls_key: files.keyPath };
  const server = await startTestServer(t, { ...settings, ...paths });
  return {
    server,
    files,
    renew: (name) => {
      const { certPath, keyPath } = certificates.make(name);
      copyFileSync(certPath, files.certPath);
      copyFileSync(keyPath, files.keyPath);
    },
    shake: (options = {}) => shake(server.address, options),
  };
}

/** Trusts the certificate for what it is: whose it is shows in `subjectOf`. */
function shake(address: Address, options: ConnectionOptions = {}): TLSSocket {
  const socket = connect({ ...address, rejectUnauthorized: false, ...options });
  return socket.on('error', () => undefined);
}

async function answered(socket: TLSSocket): Promise<readonly [unknown, ...unknown[]]> {
  await once(socket, 'secureConnect');
  socket.write(`${GET}Connection: close\r\n\r\n`);
  const subject = subjectOf(socket);
  return [socket.getProtocol(), subject, ...statuses(await untilClosed(socket))];
}

/** `undefined` in a session that is resumed. */
const subjectOf = (socket: TLSSocket) => socket.getPeerCertificate().subject?.CN;

/** The code that the handshake failed with. */
async function refusal(socket: TLSSocket): Promise<string> {
  const [error] = await once(socket, 'error');
  return error.code;
}

test('with a certificate the API speaks TLS 1.3 and HTTP/1.1, verified by who trusts it', async (t) => {
  const stage = await stageOf(t);
  if (stage === undefined) return;
  const { server, files } = stage;
  assert.match(server.url, /^https:\/\/127\.0\.0\.1:\d+$/);
  const ca = readFileSync(files.certPath);
  const verified = stage.shake({ ca, rejectUnauthorized: true, ALPNProtocols: ['h2', 'http/1.1'] });
  assert.deepEqual(await answered(verified), ['TLSv1.3', 'first', 200]);
  assert.deepEqual([verified.authorized, verified.alpnProtocol], [true, 'http/1.1']);
  assert.deepEqual(await answered(stage.shake()), ['TLSv1.3', 'first', 200], 'no ALPN');
});

test('an older TLS, another protocol and a plain request are refused', async (t) => {
  const stage = await stageOf(t);
  if (stage === undefined) return;
  const older = await refusal(stage.shake({ maxVersion: 'TLSv1.2' }));
  assert.equal(older, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
  const other = await refusal(stage.shake({ ALPNProtocols: ['h2'] }));
  assert.equal(other, 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
  assert.equal(await exchange(stage.server.address, `${GET}\r\n`), '');
});

test('a TLS handshake on a plain port is refused as what it is there', async (t) => {
  const { address } = await startTestServer(t);
  assert.equal(await refusal(shake(address)), 'ERR_SSL_WRONG_VERSION_NUMBER');
  assert.deepEqual(statuses(await exchange(address, '\x16\x03\x01\x02\x00\x01')), [400]);
});

test('a handshake that never ends, and silence after one, are cut in time', async (t) => {
  const stage = await stageOf(t, SHORT);
  if (stage === undefined) return;
  const { address } = stage.server;
  const begun = await connected(address);
  // A record that says that more is to come.
  begun.write('\x16\x03\x01\x02\x00', 'latin1');
  const silent = await connected(address);
  const shaken = stage.shake();
  await once(shaken, 'secureConnect');
  const answers = await Promise.all([begun, silent, shaken].map(untilClosed));
  assert.deepEqual(answers.map(statuses), [[], [], [408]]);
});

/** A listener alone. */
async function listenerOf(t: TestContext, options: Partial<HttpServerOptions> = {}) {
  const files = openCertificates(t)?.make('first');
  if (files === undefined) return undefined;
  const metrics = { certificate: () => undefined };
  const tls = await openTls(files, { log: quiet, metrics, now: Date.now });
  return capped(t, {
    address: { host: '127.0.0.1', port: 0 },
    limits: { maxConnections: 10, maxConnectionsPerAddress: 2 },
    server: { ...options, tls },
  });
}

test('a half-closed TLS client still gets its answer, also a late one', async (t) => {
  const closed = Promise.withResolvers<void>();
  const stage = await listenerOf(t, {
    listener: async (request, response) => {
      request.socket.once('end', closed.resolve);
      await closed.promise;
      setImmediate(() => response.end('late'));
    },
  });
  if (stage === undefined) return;
  const socket = shake(stage.address);
  await once(socket, 'secureConnect');
  socket.end(`${GET}\r\n`);
  assert.match(await untilClosed(socket), /late$/);
});

test('a reload reads the certificate again: for new handshakes, while open connections live on', async (t) => {
  const stage = await stageOf(t);
  if (stage === undefined) return;
  const { server, renew } = stage;
  const open = stage.shake();
  await once(open, 'secureConnect');
  renew('second');
  assert.deepEqual(await answered(stage.shake()), ['TLSv1.3', 'first', 200], 'not before');
  await server.reload();
  assert.deepEqual(await answered(stage.shake()), ['TLSv1.3', 'second', 200]);
  assert.deepEqual(await answered(stage.shake({ maxVersion: 'TLSv1.3' })), [
    'TLSv1.3',
    'second',
    200,
  ]);
  const older = await refusal(stage.shake({ maxVersion: 'TLSv1.2' }));
  assert.equal(older, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'TLS 1.3 only, as before');
  open.write(`${GET}Connection: close\r\n\r\n`);
  assert.deepEqual([subjectOf(open), statuses(await untilClosed(open))], ['first', [200]]);
});

test('a session of before is not resumed under the new certificate', async (t) => {
  const stage = await stageOf(t);
  if (stage === undefined) return;
  const first = stage.shake();
  const [session] = await once(first, 'session');
  const again = stage.shake({ session });
  assert.deepEqual(await answered(again), ['TLSv1.3', undefined, 200]);
  stage.renew('second');
  await stage.server.reload();
  const later = stage.shake({ session });
  assert.deepEqual(await answered(later), ['TLSv1.3', 'second', 200]);
  first.destroy();
});

test('a broken pair refuses the whole reload, and the old certificate serves on', async (t) => {
  const stage = await stageOf(t);
  if (stage === undefined) return;
  const { server, files } = stage;
  copyFileSync(files.keyPath, files.certPath);
  await assert.rejects(server.reload(), { code: 'invalid_request', message: /pem certificate at/ });
  assert.deepEqual(await answered(stage.shake()), ['TLSv1.3', 'first', 200]);
});

test('a key that others may read is refused at the start', async (t) => {
  const files = openCertificates(t)?.make('first');
  if (files === undefined) return;
  const settings = { tls_cert: files.certPath, tls_key: files.certPath };
  await assert.rejects(startTestServer(t, settings), { message: /its owner alone .* mode 0644/ });
});

test('connections over a cap are reset before their handshake, and each is counted once', async (t) => {
  const timeouts = { ...DEFAULT_TIMEOUTS, headersMs: 2_000, requestMs: 2_000 };
  const stage = await listenerOf(t, { timeouts });
  if (stage === undefined) return;
  const served = await request(shake(stage.address));
  const handshaking = await connected(stage.address);
  assert.deepEqual([served.isServed, stage.open()], [true, 2]);
  const refused = await ask(stage.address);
  assert.deepEqual([refused.code, stage.refusals], ['ECONNRESET', ['address']]);
  const cut = untilClosed(handshaking);
  served.socket.destroy();
  assert.equal(await cut, '', 'the handshake that never came');
  await stage.untilOpen(0);
  const again = await Promise.all([request(shake(stage.address)), request(shake(stage.address))]);
  assert.deepEqual(
    again.map(({ isServed }) => isServed),
    [true, true],
  );
  again[0]?.socket.end();
  again[1]?.socket.destroy();
  await stage.untilOpen(0);
});

test('a TLS peer keeps its address when it has gone: having none means a Unix socket', async (t) => {
  const gone = Promise.withResolvers<string | undefined>();
  const stage = await listenerOf(t, {
    listener: ({ socket }) => {
      socket.once('close', () => gone.resolve(socket.remoteAddress)).destroy();
    },
  });
  if (stage === undefined) return;
  const { isServed } = await request(shake(stage.address));
  assert.deepEqual([isServed, await gone.promise], [false, '127.0.0.1']);
});

test('a handshake that ends in the midst of a stop is of no use any more', {
  timeout: 10_000,
}, async (t) => {
  const stage = await listenerOf(t);
  if (stage === undefined) return;
  const plain = await connected(stage.address);
  await stage.untilOpen(1);
  const stopped = stage.server.close(60_000);
  const late = shake(stage.address, { socket: plain });
  await once(late, 'close');
  await stopped;
});

test('a stop does not wait for who never ends a handshake', { timeout: 10_000 }, async (t) => {
  const files = openCertificates(t)?.make('first');
  if (files === undefined) return;
  const server = await startTestServer(t, {
    tls_cert: files.certPath,
    tls_key: files.keyPath,
    drain_timeout: '100ms',
    headers_timeout: '10m',
    request_timeout: '10m',
  });
  const silent = untilClosed(await connected(server.address));
  const shaken = shake(server.address);
  await once(shaken, 'secureConnect');
  await server.stop();
  assert.equal(await silent, '');
});

const quiet = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
