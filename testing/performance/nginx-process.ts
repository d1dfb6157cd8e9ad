/**
 * The reference of reads that is not ours: Debian's nginx with one worker and stock settings, serving the
 * registry's answers as static files with the registry's headers.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freePort } from '../support/nginx.ts';
import type { Answer } from './answer.ts';
import type { ChildServer } from './child.ts';
import { asServer, onlyChild, TOOL_ENV } from './machine.ts';

const POLL_MS = 20;
const DEADLINE_MS = 10_000;

const MAIN = [
  // Its worker would leave root behind, and with it the directory.
  process.getuid?.() === 0 ? 'user root;' : '',
  'daemon off; worker_processes 1; error_log stderr error;',
].join(' ');

export function startNginx(answers: readonly Answer[]): Promise<ChildServer> {
  const configure = ({ directory, port }: NginxPlace) => {
    for (const { path, body } of answers) {
      const file = join(directory, 'html', path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, body);
    }
    return configOf(directory, port, answers);
  };
  return runNginx(configure, answers[0]?.path ?? '/');
}

/** What is nginx's own in a configuration, and the same for all. */
export interface NginxPlace {
  readonly directory: string;
  readonly port: number;
  readonly main: string;
  readonly http: string;
}

/** `path`: where it answers 200 once it runs. */
export async function runNginx(
  configure: (place: NginxPlace) => string,
  path: string,
): Promise<ChildServer> {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-perf-nginx-'));
  chmodSync(directory, 0o755);
  const port = await freePort();
  const place = { directory, port, main: MAIN, http: temporaryPaths(directory) };
  writeFileSync(join(directory, 'nginx.conf'), configure(place));
  const files = ['-p', directory, '-e', 'stderr', '-c', join(directory, 'nginx.conf')];
  const server = asServer('nginx', files);
  const child = spawn(server.command, server.parameters, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: TOOL_ENV,
  });
  const exited = once(child, 'exit');
  // Unlike the other servers it does not end with our standard input.
  const kill = () => {
    child.kill('SIGTERM');
    rmSync(directory, { recursive: true, force: true });
  };
  process.once('exit', kill);
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    process.off('exit', kill);
    child.kill('SIGTERM');
    await exited;
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await answering(url + path, exited);
    const worker = onlyChild(child.pid ?? 0);
    if (worker === undefined) throw new Error('expected nginx to have a worker, got none');
    return { url, pid: worker, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function answering(url: string, exited: Promise<unknown>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  let isOver = false;
  void exited.then(() => {
    isOver = true;
  });
  for (;;) {
    const status = await fetch(url).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 200) return;
    if (isOver || performance.now() > deadline)
      throw new Error(`expected nginx to answer 200, got ${status || 'nothing'}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function temporaryPaths(directory: string): string {
  return ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${join(directory, `temp-${name}`)};`)
    .join(' ');
}

/** Exported for its test. */
export function configOf(directory: string, port: number, answers: readonly Answer[]): string {
  const locations = answers.map(({ path, headers, contentType }) => {
    const added = headers.map(([name, value]) => `add_header ${name} ${quoted(value)};`);
    return `location = ${path} { default_type ${contentType}; ${added.join(' ')} }`;
  });
  return [
    MAIN,
    `pid ${join(directory, 'nginx.pid')};`,
    'events { worker_connections 1024; }',
    `http { access_log off; keepalive_requests 100000000; sendfile on; tcp_nopush on; types {} ${temporaryPaths(directory)}`,
    `server { listen 127.0.0.1:${port}; root ${join(directory, 'html')};`,
    ...locations,
    '} }',
    '',
  ].join('\n');
}

function quoted(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
