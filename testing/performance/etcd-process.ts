/** Debian's etcd as a single node with stock settings, and requests to its JSON gateway. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../support/nginx.ts';
import type { ChildServer } from './child.ts';
import { asServer, TOOL_ENV } from './machine.ts';

const POLL_MS = 20;
const DEADLINE_MS = 20_000;

export function isEtcdInstalled(): boolean {
  return spawnSync('etcd', ['--version'], { env: TOOL_ENV, stdio: 'ignore' }).status === 0;
}

/** Its data lie where a registry's do under measurement, on the same disk. */
export async function startEtcd(): Promise<ChildServer> {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-perf-etcd-'));
  const url = `http://127.0.0.1:${await freePort()}`;
  const peerUrl = `http://127.0.0.1:${await freePort()}`;
  const server = asServer('etcd', [
    ...[
      '--name',
      'quorate-perf',
      '--data-dir',
      directory,
      '--logger',
      'zap',
      '--log-level',
      'error',
    ],
    ...['--listen-client-urls', url, '--advertise-client-urls', url],
    ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
    ...['--initial-cluster', `quorate-perf=${peerUrl}`],
  ]);
  const child = spawn(server.command, server.parameters, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: TOOL_ENV,
  });
  const exited = once(child, 'exit');
  // Unlike our servers it does not end with our standard input.
  const end = () => {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  };
  process.once('exit', end);
  const stop = async () => {
    child.kill('SIGKILL');
    await exited;
    process.off('exit', end);
    end();
  };
  try {
    await healthy(url, exited);
    if (child.pid === undefined) throw new Error('expected etcd to run, it does not');
    return { url, pid: child.pid, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** It has elected itself. */
async function healthy(url: string, exited: Promise<unknown>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  let isOver = false;
  void exited.then(() => {
    isOver = true;
  });
  for (;;) {
    const text = await fetch(`${url}/health`).then(
      (response) => response.text(),
      () => 'nothing',
    );
    if (text.includes('"health":"true"')) return;
    if (isOver || performance.now() > deadline)
      throw new Error(`expected etcd to be healthy, got ${text}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

export const PUT_PATH = '/v3/kv/put';
export const RANGE_PATH = '/v3/kv/range';

export function putBody(key: string, value: Uint8Array): Uint8Array {
  return bodyOf({ key: base64(key), value: base64(value) });
}

/** Linearizable, as it is unless told otherwise. */
export function rangeBody(key: string): Uint8Array {
  return bodyOf({ key: base64(key) });
}

function base64(data: string | Uint8Array): string {
  return Buffer.from(data).toString('base64');
}

function bodyOf(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
