/** OpenStack Swift (Debian's python3-swift) as a server for S3 on loopback, of others' making, for one test file. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './nginx.ts';

/** Debian's own: others do not see its packages. */
const PYTHON = '/usr/bin/python3';
const PROGRAM = join(import.meta.dirname, 'swift-server.py');
/** Ends it also when nobody else does. */
const MAX_SECONDS = 300;
const DEADLINE_MS = 90_000;
const LOOK_MS = 50;

/** As the program of Swift knows them. */
export const WRITER = {
  AWS_ACCESS_KEY_ID: 'test:writer',
  AWS_SECRET_ACCESS_KEY: 'writer-secret-0123456789',
};
export const STRANGER = {
  AWS_ACCESS_KEY_ID: 'test:stranger',
  AWS_SECRET_ACCESS_KEY: 'stranger-secret-0123456789',
};

/** Where nothing may be skipped it fails; else a test says that it was skipped. */
export function isSwiftMissing(): boolean {
  const isThere = spawnSync(PYTHON, ['-c', 'import swift.proxy']).status === 0;
  if (!isThere) assert.notEqual(process.env.QUORATE_CI, '1', 'expected Swift, got none');
  return !isThere;
}

export interface Swift extends AsyncDisposable {
  readonly url: string;
}

export async function startSwift(): Promise<Swift> {
  for (let attempt = 1; ; attempt++) {
    const directory = mkdtempSync(join(tmpdir(), 'quorate-swift-'));
    const ports = await Promise.all(Array.from({ length: 4 }, freePort));
    const child = spawn(
      'timeout',
      ['--kill-after=5', `${MAX_SECONDS}`, PYTHON, PROGRAM, directory, ...ports.map(String)],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-8192);
    });
    const stop = async () => {
      await end(child);
      rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
    };
    if (await answers(ports, child)) {
      return { url: `http://127.0.0.1:${ports[0]}`, [Symbol.asyncDispose]: stop };
    }
    await stop();
    // Somebody else may have taken a port meanwhile.
    assert.ok(attempt < 3 && /in use/.test(said), said);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'close');
}

/** Whether all four answer, before the deadline and before they end. */
async function answers(ports: readonly number[], child: ChildProcess): Promise<boolean> {
  const deadline = performance.now() + DEADLINE_MS;
  for (const port of ports)
    while (!(await isWell(port))) {
      if (child.exitCode !== null || performance.now() > deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  return true;
}

async function isWell(port: number): Promise<boolean> {
  const signal = AbortSignal.timeout(5_000);
  const answer = await fetch(`http://127.0.0.1:${port}/healthcheck`, { signal }).catch(() => null);
  await answer?.arrayBuffer().catch(() => undefined);
  return answer?.ok === true;
}
