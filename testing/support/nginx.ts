/** Debian's nginx with deploy/nginx.conf as a child on a loopback port, in front of a server of ours. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';

const CONFIG = readFileSync(join(import.meta.dirname, '../../deploy/nginx.conf'), 'utf8');
/** What its comments tell the operator to set in the server, by setting. */
export const NAMED_SETTINGS: Readonly<Record<string, string>> = Object.fromEntries(
  [...CONFIG.matchAll(/^# {5}([a-z_]+) = "(.*)"$/gm)].map(([, name = '', value = '']) => [
    name,
    value,
  ]),
);
const PATH = `${process.env.PATH}:/usr/sbin:/usr/local/sbin`;
/** Ends it also when nobody else does. */
const MAX_SECONDS = 120;
/** Debian's `nobody`: nginx is to need no rights. */
const NOBODY = 65_534;

/** Skips the test, saying so, where there is no nginx. */
export function isNginxMissing(t: TestContext): boolean {
  const isThere = spawnSync('nginx', ['-v'], { env: { PATH } }).status === 0;
  if (!isThere) t.skip('SKIPPED, NOT PASSED: nginx is not installed');
  return !isThere;
}

/** Replaces what stands there exactly once. */
export type Edit = readonly [from: string, to: string];

/** Answers its URL. Stopped when the test ends. */
export async function startNginx(
  t: TestContext,
  upstream: string,
  edits: readonly Edit[] = [],
): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const directory = writeConfig(port, upstream, edits);
    const child = spawnNginx(directory);
    const output = await outputUntilStarted(child);
    t.after(async () => {
      child.kill('SIGTERM');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      rmSync(directory, { recursive: true, force: true });
    });
    if (child.exitCode === null) return `http://127.0.0.1:${port}`;
    // Somebody else may have taken the port meanwhile.
    assert.ok(attempt < 3 && output.includes('Address already in use'), output);
  }
}

/** What `nginx -t` says of the configuration, and whether it takes it. */
export function checkConfig(port: number): { readonly isTaken: boolean; readonly output: string } {
  const directory = writeConfig(port, 'http://127.0.0.1:1', []);
  const { status, stderr } = spawnSync('nginx', [...parameters(directory), '-t'], {
    env: { PATH },
    encoding: 'utf8',
    timeout: 10_000,
    ...credentials(),
  });
  rmSync(directory, { recursive: true, force: true });
  return { isTaken: status === 0, output: stderr };
}

/** One that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** As it came: a content coding is left on it. */
  readonly body: Buffer;
}

export interface AskOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Of the client: one of loopback. */
  readonly localAddress?: string;
}

/** One request of a client that neither decodes, follows nor caches. */
export async function ask(url: string, options: AskOptions = {}): Promise<RawAnswer> {
  const response = await open(url, options);
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: Buffer.concat(parts),
  };
}

/** Resolves with the headers; the body is the caller's to read or to destroy. */
export async function open(
  url: string,
  { body, ...options }: AskOptions = {},
): Promise<IncomingMessage> {
  const sent = request(url, { ...options, timeout: 10_000 }).end(body);
  sent.on('timeout', () => sent.destroy(new Error(`expected an answer of ${url}, got none`)));
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return response;
}

function writeConfig(port: number, upstream: string, edits: readonly Edit[]): string {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-nginx-'));
  const places: readonly Edit[] = [
    ['server 127.0.0.1:7070;', `server ${new URL(upstream).host};`],
    ['listen 80;', `listen 127.0.0.1:${port};`],
    ['/var/cache/nginx/quorate', join(directory, 'cache')],
  ];
  const text = [...places, ...edits].reduce((config, [from, to]) => {
    assert.equal(config.split(from).length, 2, `${from} stands once in deploy/nginx.conf`);
    return config.replace(from, () => to);
  }, CONFIG);
  writeFileSync(join(directory, 'quorate.conf'), text);
  writeFileSync(join(directory, 'nginx.conf'), mainConfig(directory));
  mkdirSync(join(directory, 'temp'));
  const { uid, gid } = credentials();
  if (uid !== undefined && gid !== undefined)
    for (const path of [directory, join(directory, 'temp')]) chownSync(path, uid, gid);
  chmodSync(directory, 0o700);
  return directory;
}

/** What a distribution's own nginx.conf does around ours, with as many connections as Debian's. */
function mainConfig(directory: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${join(directory, 'temp', name)};`,
  );
  // Its workers would leave root behind, and with it the directory.
  const user = isRoot() && credentials().uid === undefined ? 'user root;' : '';
  return [
    user,
    'daemon off; worker_processes 1; error_log stderr notice;',
    `pid ${join(directory, 'nginx.pid')};`,
    'events { worker_connections 768; }',
    `http { access_log off; gzip on; ${temporary.join(' ')} include ${join(directory, 'quorate.conf')}; }`,
  ].join('\n');
}

function parameters(directory: string): string[] {
  return ['-p', directory, '-e', 'stderr', '-c', join(directory, 'nginx.conf')];
}

function spawnNginx(directory: string): ChildProcess {
  const bounded = ['--kill-after=5', `${MAX_SECONDS}`, 'nginx', ...parameters(directory)];
  return spawn('timeout', bounded, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH },
    ...credentials(),
  });
}

/** `nobody`, where root runs this and others can reach the temporary directory at all. */
function credentials(): { readonly uid?: number; readonly gid?: number } {
  return isRoot() && isReachable(tmpdir()) ? { uid: NOBODY, gid: NOBODY } : {};
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function isReachable(directory: string): boolean {
  const parent = dirname(directory);
  const isOpen = (statSync(directory).mode & 0o001) !== 0;
  return isOpen && (parent === directory || isReachable(parent));
}

/** Until it takes connections or ends. */
async function outputUntilStarted(child: ChildProcess): Promise<string> {
  let output = '';
  const started = new Promise<void>((resolve) => {
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.includes('start worker process ')) resolve();
    });
  });
  await Promise.race([started, once(child, 'close')]);
  return output;
}
