import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type ListenOptions } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { HttpServer } from '../../../src/server/http-server.ts';
import { listenOnSocket } from '../../../src/server/listen/unix-socket.ts';
import { run } from '../../support/child.ts';
import { DEFAULT_TIMEOUTS, hello } from '../../support/server-listening.ts';
import { ask } from '../../support/server-peers.ts';

function directoryOf(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-unix-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

function serverOf(t: TestContext, socketMode?: number): HttpServer {
  const server = new HttpServer({
    timeouts: DEFAULT_TIMEOUTS,
    listener: hello,
    onRefused: () => undefined,
    onError: (error) => assert.fail(error),
    ...(socketMode !== undefined && { socketMode }),
  });
  t.after(() => server.close(0));
  return server;
}

/** Of a process that ended without removing it. */
async function leaveSocket(path: string): Promise<void> {
  const program = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  assert.equal((await run(process.execPath, ['-e', program])).signal, 'SIGKILL');
  assert.ok(statSync(path).isSocket(), 'it was left');
}

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

test('a Unix socket is served, has its mode, and is gone after the stop', async (t) => {
  const path = join(directoryOf(t), 's');
  for (const [mode, shown] of [
    [0o660, '660'],
    [0o600, '600'],
    [undefined, '600'],
  ] as const) {
    const server = serverOf(t, mode);
    assert.deepEqual(await server.listen({ path }), { path });
    assert.equal(modeOf(path), shown);
    assert.equal((await ask({ path })).isServed, true);
    await server.close(0);
    assert.equal(existsSync(path), false);
  }
});

test('at no moment may more people connect than the mode says', async (t) => {
  const path = join(directoryOf(t), 's');
  const umask = process.umask(0);
  t.after(() => process.umask(umask));
  const server = createServer();
  t.after(() => server.close());
  const modes: string[] = [];
  const listen = server.listen.bind(server);
  t.mock.method(server, 'listen', (options: ListenOptions, bound: () => void) => {
    listen(options, bound);
    modes.push(modeOf(path));
  });
  await listenOnSocket(server, { path }, 0o660);
  assert.deepEqual([...modes, modeOf(path)], ['600', '660']);
  assert.equal(process.umask(), 0, 'the umask is as it was');
});

test('the socket of a dead server is replaced', async (t) => {
  const path = join(directoryOf(t), 's');
  await leaveSocket(path);
  await serverOf(t).listen({ path });
  assert.equal((await ask({ path })).isServed, true);
});

test('the socket of a live server is left to it', async (t) => {
  const path = join(directoryOf(t), 's');
  await serverOf(t).listen({ path });
  await assert.rejects(serverOf(t).listen({ path }), {
    code: 'invalid_request',
    message: `expected to listen on unix:${path}, got EADDRINUSE: another process listens there: stop it, or choose another path`,
  });
  assert.equal((await ask({ path })).isServed, true);
});

test('a live server that accepts nobody at the moment is alive', async (t) => {
  const path = join(directoryOf(t), 's');
  const program = `require('node:net').createServer().listen({ path: ${JSON.stringify(path)}, backlog: 1 }, () => { require('node:fs').writeSync(1, 'on'); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0) })`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  const waiting = Array.from({ length: 8 }, () => connect({ path }));
  t.after(() => waiting.forEach((socket) => void socket.destroy()));
  const errors = await Promise.all(
    waiting.map((socket) =>
      once(socket, 'connect').then(
        () => null,
        ({ code }) => code,
      ),
    ),
  );
  assert.ok(errors.includes('EAGAIN'), 'its queue is full');
  await assert.rejects(serverOf(t).listen({ path }), { message: /EADDRINUSE/ });
  assert.ok(existsSync(path));
});

test('what is no socket is never removed', async (t) => {
  const directory = directoryOf(t);
  const file = join(directory, 'file');
  writeFileSync(file, 'kept');
  const folder = join(directory, 'folder');
  mkdirSync(folder);
  const dangling = join(directory, 'dangling');
  symlinkSync(join(directory, 'nowhere'), dangling);
  const linked = join(directory, 'linked');
  await leaveSocket(join(directory, 'dead'));
  symlinkSync(join(directory, 'dead'), linked);
  for (const path of [file, folder, dangling, linked])
    await assert.rejects(serverOf(t).listen({ path }), {
      code: 'invalid_request',
      message: `expected no file or a unix socket at ${path}, got another file: choose another path, or remove it yourself`,
    });
  assert.equal(readFileSync(file, 'utf8'), 'kept');
  assert.ok(existsSync(join(directory, 'dead')));
});

test('a path may have as many bytes as the system takes, and not one more', async (t) => {
  const directory = directoryOf(t);
  const room = 107 - directory.length - 1;
  const path = join(directory, 's'.repeat(room));
  await serverOf(t).listen({ path });
  assert.equal((await ask({ path })).isServed, true);
  // In characters it would fit.
  const long = join(directory, `${'s'.repeat(room - 1)}é`);
  await assert.rejects(serverOf(t).listen({ path: long }), {
    code: 'invalid_request',
    message:
      /^expected the path of a unix socket in at most 107 bytes, got 108: choose a shorter one/,
  });
});

test('a directory that is missing is named, with what to do', async (t) => {
  const path = join(directoryOf(t), 'missing', 's');
  await assert.rejects(serverOf(t).listen({ path }), {
    code: 'invalid_request',
    message: /^expected to listen on unix:.*: its directory is missing/,
  });
});
