/** `quorate blob` and `quorate bench blob`: against a real server, and against servers that lie or break off. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeBlob, type TestBlob } from '../../support/blobs.ts';
import { type CliRun, runCli } from '../../support/cli-io.ts';
import { makeDirectory } from '../../support/cli-stage.ts';
import { beginOver, clientOf, makeDataDir, startTestServer } from '../../support/server-start.ts';

interface Stage {
  readonly url: string;
  file(name: string): string;
  write(name: string, bytes: Uint8Array): string;
  blob(...argv: readonly string[]): Promise<CliRun>;
}

function stageAt(url: string): Stage {
  const directory = makeDirectory();
  const file = (name: string) => join(directory, name);
  return {
    url,
    file,
    write: (name, bytes) => {
      writeFileSync(file(name), bytes);
      return file(name);
    },
    blob: (...argv) => runCli(['--url', url, 'blob', ...argv]),
  };
}

async function openStage(t: TestContext): Promise<Stage> {
  const settings = { profile: 'macronode', data: makeDataDir(), blobs: 'on' };
  const server = await startTestServer(t, settings);
  await beginOver(clientOf(server.url));
  return stageAt(server.url);
}

/** Answers every request so; counts the ranges that it was asked for. */
async function openLiar(t: TestContext, listener: RequestListener) {
  const ranges: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    ranges.push(request.headers.range);
    listener(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { ...stageAt(`http://127.0.0.1:${port}`), ranges };
}

const BLOB = makeBlob(1_000_000);
const OTHER = makeBlob(1_000_000, 1);

function bytesOf(path: string): Uint8Array {
  return new Uint8Array(readFileSync(path));
}

test('put prints the address, once more when it was there, and get brings the bytes back', async (t) => {
  const { write, file, blob, url } = await openStage(t);
  const [one, other] = [write('one', BLOB.bytes), write('other', OTHER.bytes)];
  const put = await blob('put', one, other);
  assert.deepEqual([put.code, put.stdout], [0, `${BLOB.address}\n${OTHER.address}\n`], put.stderr);
  const again = await runCli(['--json', '--url', url, 'blob', 'put', one]);
  assert.deepEqual(again.json(), [
    { address: BLOB.address, bytes: BLOB.bytes.length, is_new: false, path: one },
  ]);
  const got = await blob('get', BLOB.address, '-o', file('got'));
  assert.deepEqual([got.code, got.stdout], [0, ''], got.stderr);
  assert.deepEqual(bytesOf(file('got')), BLOB.bytes);
  assert.ok(!existsSync(file('got.part')));
  const printed = await blob('get', BLOB.address);
  assert.equal(printed.code, 0);
  assert.deepEqual(new Uint8Array(Buffer.from(printed.stdout, 'latin1')), BLOB.bytes);
});

test('a download goes on where an earlier one broke off, and begins again where that was something else', async (t) => {
  const { write, file, blob } = await openStage(t);
  await blob('put', write('one', BLOB.bytes));
  const left: Readonly<Record<string, Uint8Array>> = {
    'a beginning': BLOB.bytes.slice(0, 400_000),
    'all of it': BLOB.bytes,
    'another beginning': OTHER.bytes.slice(0, 400_000),
    'another blob': OTHER.bytes,
    'more than all of it': new Uint8Array(2_000_000),
  };
  for (const [name, bytes] of Object.entries(left)) {
    const path = file(name);
    writeFileSync(`${path}.part`, bytes);
    const got = await blob('get', BLOB.address, '-o', path);
    assert.equal(got.code, 0, `${name}: ${got.stderr}`);
    assert.deepEqual(bytesOf(path), BLOB.bytes, name);
    assert.ok(!existsSync(`${path}.part`), name);
  }
});

test('a connection that breaks is taken up again from where it was', async (t) => {
  const part = (from: number) => BLOB.bytes.subarray(from, from + 400_000);
  const liar = await openLiar(t, ({ headers }, response) => {
    const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
    const total = BLOB.bytes.length;
    response.writeHead(from === 0 ? 200 : 206, {
      'content-length': total - from,
      ...(from > 0 && { 'content-range': `bytes ${from}-${total - 1}/${total}` }),
    });
    const isLast = from + 400_000 >= total;
    if (isLast) response.end(part(from));
    else response.write(part(from), () => response.socket?.destroySoon());
  });
  const got = await liar.blob('get', BLOB.address, '-o', liar.file('got'));
  assert.equal(got.code, 0, got.stderr);
  assert.deepEqual(bytesOf(liar.file('got')), BLOB.bytes);
  // What was on its way when it broke may be lost, and nothing before that.
  const [first, ...rest] = liar.ranges.map((range) => Number(/\d+/.exec(range ?? '0')?.[0]));
  assert.ok(first === 0 && rest.length >= 2, String(liar.ranges));
  assert.deepEqual(
    rest.toSorted((a, b) => a - b),
    rest,
  );
  assert.ok(
    rest.some((from) => from > 0),
    String(liar.ranges),
  );
});

test('other bytes than the address says are exit code 3, and leave no file', async (t) => {
  const liar = await openLiar(t, (_request, response) => void response.end(OTHER.bytes));
  const got = await liar.blob('get', BLOB.address, '-o', liar.file('got'));
  assert.equal(got.code, 3);
  assert.match(got.stderr, /expected the bytes of b3:/);
  for (const name of ['got', 'got.part']) assert.ok(!existsSync(liar.file(name)), name);
  const printed = await liar.blob('get', BLOB.address);
  assert.equal(printed.code, 3);
});

test('a range that is not the one that was asked for is no answer', async (t) => {
  const liar = await openLiar(t, (_request, response) => {
    response.writeHead(206, { 'content-range': 'bytes 0-9/10' }).end('0123456789');
  });
  writeFileSync(`${liar.file('got')}.part`, BLOB.bytes.subarray(0, 5));
  const got = await liar.blob('get', BLOB.address, '-o', liar.file('got'));
  assert.equal(got.code, 1);
  assert.match(got.stderr, /got others/);
});

test('what the registry refuses is told in its words, before everything is sent', async (t) => {
  const { write, blob, file } = await openStage(t);
  const missing = await blob('get', BLOB.address, '-o', file('got'));
  assert.equal(missing.code, 1);
  assert.match(
    missing.stderr,
    /expected a blob that is here, got b3:.*: put it, or ask a registry/,
  );
  for (const name of ['got', 'got.part']) assert.ok(!existsSync(file(name)), name);
  const none = await blob('put', file('none'));
  assert.equal(none.code, 1);
  assert.match(none.stderr, /to read .*none.*ENOENT/);
  assert.equal((await blob('get', 'b3:short')).code, 2);
  const gone = stageAt('http://127.0.0.1:1');
  assert.equal((await gone.blob('put', write('one', BLOB.bytes))).code, 4);
});

test('a refusal that comes while a blob is being sent ends the sending', async (t) => {
  const liar = await openLiar(t, (_request, response) => {
    const body = JSON.stringify({ code: 'no_room', detail: 'expected room', details: {} });
    response.writeHead(507, { 'content-type': 'application/problem+json' }).end(body);
  });
  const large: TestBlob = makeBlob(40_000_000);
  const put = await liar.blob('put', liar.write('large', large.bytes));
  assert.equal(put.code, 1);
  assert.match(put.stderr, /expected room/);
  assert.equal(liar.ranges.length, 1);
});

test('who is told to come back comes back, and the blob is sent whole again', async (t) => {
  const received: number[] = [];
  const liar = await openLiar(t, (request, response) => {
    let bytes = 0;
    request.on('data', (piece: Buffer) => {
      bytes += piece.length;
    });
    request.on('end', () => {
      received.push(bytes);
      if (received.length > 2) return void response.writeHead(201).end('{}');
      const body = JSON.stringify({ code: 'not_ready', detail: 'expected a moment', details: {} });
      const headers = { 'content-type': 'application/problem+json', 'retry-after': '1' };
      response.writeHead(503, headers).end(body);
    });
  });
  const began = performance.now();
  const put = await liar.blob('put', liar.write('one', BLOB.bytes));
  assert.deepEqual([put.code, put.stdout.trim()], [0, BLOB.address], put.stderr);
  assert.ok(performance.now() - began >= 2_000);
  assert.deepEqual(received, [1_000_000, 1_000_000, 1_000_000]);
  assert.match(put.stderr, /expected a moment; attempt 2 of 4 in 1 s/);
  assert.match(put.stderr, /attempt 3 of 4 in 1 s/);
});

test('what coming back would not change is told at once, and the rest after four times', async (t) => {
  let asked = 0;
  let status = 503;
  let code = 'read_only';
  const liar = await openLiar(t, (request, response) => {
    asked++;
    const body = JSON.stringify({ code, detail: 'expected better', details: {} });
    request.resume().on('end', () => {
      response.writeHead(status, { 'content-type': 'application/problem+json' }).end(body);
    });
  });
  const path = liar.write('one', BLOB.bytes);
  const askedFor = async (answer: number, problem: string) => {
    [asked, status, code] = [0, answer, problem];
    const put = await liar.blob('put', path);
    assert.notEqual(put.code, 0);
    assert.match(put.stderr, /expected better/);
    return asked;
  };
  assert.equal(await askedFor(503, 'read_only'), 1);
  assert.equal(await askedFor(403, 'forbidden'), 1);
  assert.equal(await askedFor(500, 'storage_failed'), 4);
});

test('bench blob puts and gets, and says how many bytes a second that is', async (t) => {
  const { url } = await openStage(t);
  const run = await runCli([
    ...['--json', '--url', url, 'bench', 'blob'],
    ...['--size', '1MiB', '--count', '5', '--connections', '2'],
  ]);
  assert.equal(run.code, 0, run.stderr);
  const [document] = run.json();
  assert.equal(document?.bench, 'blob');
  assert.deepEqual(document?.config, { size: 1024 * 1024, count: 5, connections: 2 });
  const loads = document?.loads as Record<string, Record<string, unknown>>;
  for (const name of ['put', 'get']) {
    const load = loads[name] ?? {};
    assert.deepEqual([load.requests, load.failed, load.bytes], [5, 0, 5 * 1024 * 1024]);
    const rate = Number(load.bytes) / 1000 / Number(load.elapsed_ms);
    assert.ok(Math.abs(Number(load.mb_per_second) - rate) < rate / 10, name);
  }
  const shown = await runCli(['--url', url, 'bench', 'blob', '--size', '10B', '--count', '1']);
  assert.match(shown.stdout, /put: 1 of 1 blobs in .* MB a second/);
});

test('bench blob says what failed', async (t) => {
  const server = await startTestServer(t);
  const run = await runCli(['--url', server.url, 'bench', 'blob', '--size', '10B', '--count', '2']);
  assert.equal(run.code, 1);
  assert.match(run.stderr, /4 of 4 that did not: 2 x not_found/);
});
