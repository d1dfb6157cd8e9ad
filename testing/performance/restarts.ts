/**
 * Restarts under load, and a restore: how long from the signal until the head is answered and a commit is accepted
 * again, and from the command that restores a snapshot until the head is answered.
 */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import type { Hash } from '../../src/core/hash.ts';
import { quorate } from '../support/cli-process.ts';
import { makeSigners } from '../support/signers.ts';
import type { Bench } from './bench.ts';
import type { ChildServer, NodeChild } from './child.ts';
import { type Entry, entryOf, postEntry, writeEntry } from './entries.ts';
import type { Sample } from './figure.ts';
import { Poster } from './poster.ts';
import { begin, spawnRegistry } from './registry-process.ts';
import { bareStart } from './starts.ts';
import { makeTemporary } from './temporary.ts';

const HEAD = '/registry/head';
const BARE = 'a start of bare node:http';
const ENTRY_BYTES = 4_096;
const READERS = 8;
const WRITERS = 4;
const LOAD_MS = 1_000;
/** A server that starts refuses what it cannot take yet. */
const AGAIN_MS = 2;
const DEADLINE_MS = 60_000;
/** As `begin` has it. */
const SIGNERS = makeSigners(5);
const THRESHOLD = 3;

export async function openRestarts(): Promise<Bench> {
  const stack = new AsyncDisposableStack();
  try {
    const directory = await makeTemporary('quorate-perf-restarts-', stack);
    const server = stack.use(await LoadedServer.start(directory));
    const bare = await bareStart(directory, HEAD);
    // Once each, so that all have been read and compiled before.
    await server.restart('SIGTERM');
    await server.restore();
    await startOf(bare);
    return {
      // Each of them ends within a round.
      pids: [],
      round: async () => {
        const stopped = await server.restart('SIGTERM');
        const killed = await server.restart('SIGKILL');
        const restoredMs = await server.restore();
        return samplesOf({ stopped, killed, restoredMs, bareMs: await startOf(bare) });
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

interface Restart {
  readonly answersMs: number;
  readonly commitsMs: number;
}

export interface Restarts {
  readonly stopped: Restart;
  readonly killed: Restart;
  readonly restoredMs: number;
  readonly bareMs: number;
}

export function samplesOf({ stopped, killed, restoredMs, bareMs }: Restarts): Sample[] {
  const sample = (name: string, ours: number): Sample => ({
    name,
    kind: 'latency',
    unit: 'ms',
    reference: BARE,
    ours,
    theirs: bareMs,
  });
  return [
    sample('stopped under load: until it answers', stopped.answersMs),
    sample('stopped under load: until it commits', stopped.commitsMs),
    sample('killed under load: until it answers', killed.answersMs),
    sample('killed under load: until it commits', killed.commitsMs),
    sample('restored from a snapshot: until it answers', restoredMs),
  ];
}

/** One registry, under a server that is ended and started anew. */
class LoadedServer implements AsyncDisposable {
  readonly #directory: string;
  readonly #registry: Hash;
  #server: NodeChild;
  #made = 0;

  private constructor(directory: string, server: NodeChild, registry: Hash) {
    this.#directory = directory;
    this.#server = server;
    this.#registry = registry;
  }

  static async start(directory: string): Promise<LoadedServer> {
    const server = await spawnRegistry('macronode', join(directory, 'data'));
    return new LoadedServer(directory, server, await begin(server.url));
  }

  /** In the middle of reads and writes; what is committed first afterwards was approved before. */
  async restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<Restart> {
    const next = this.#entry();
    using before = new Poster(this.#server.url, 1);
    await postEntry(before, next);
    const load = this.#load();
    await after(LOAD_MS);
    const began = performance.now();
    load.ending();
    process.kill(this.#server.pid, signal);
    await this.#server[Symbol.asyncDispose]();
    await load.ended;
    this.#server = await spawnRegistry('macronode', this.#data);
    await readHead(this.#server);
    const answersMs = performance.now() - began;
    using poster = new Poster(this.#server.url, 1);
    await untilTaken(() => poster.post(next.commitPath));
    return { answersMs, commitsMs: performance.now() - began };
  }

  /** As an operator does it, into a directory that is empty; the snapshot is made before. */
  async restore(): Promise<number> {
    const snapshot = await this.#snapshot();
    const data = join(this.#directory, 'restored');
    const began = performance.now();
    await this.#run(
      ...['snapshot', 'restore', snapshot, '--data', data],
      ...['--registry', this.#registry, '--accept-rollback'],
    );
    const restored = await spawnRegistry('macronode', data);
    await readHead(restored);
    const ms = performance.now() - began;
    await restored[Symbol.asyncDispose]();
    await rm(data, { recursive: true });
    return ms;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }

  get #data(): string {
    return join(this.#directory, 'data');
  }

  /** Of the newest version; the one before is gone. */
  async #snapshot(): Promise<string> {
    const snapshots = join(this.#data, 'snapshots');
    await rm(snapshots, { recursive: true, force: true });
    await mkdir(snapshots, { mode: 0o700 });
    await this.#run('snapshot', 'create', '--socket', join(this.#data, 'operator.sock'));
    const [name] = (await readdir(snapshots)).filter((file) => file.endsWith('.qsnap'));
    if (name === undefined) throw new Error('expected a snapshot, got none');
    return join(snapshots, name);
  }

  async #run(...argv: readonly string[]): Promise<void> {
    const { code, stderr } = await quorate({ cwd: this.#directory }, ...argv, '--quiet');
    if (code !== 0) throw new Error(`expected quorate ${argv.join(' ')} to succeed, got ${stderr}`);
  }

  #entry(): Entry {
    const served = { registry: this.#registry, signers: SIGNERS.slice(0, THRESHOLD) };
    return entryOf(served, { id: `restart-${this.#made++}`, bytes: ENTRY_BYTES });
  }

  /** Reads and whole writes until the server ends. */
  #load(): { ending(): void; readonly ended: Promise<void> } {
    const poster = new Poster(this.#server.url, READERS + WRITERS);
    let isEnding = false;
    const lane = async (act: () => Promise<void>): Promise<void> => {
      try {
        while (!isEnding) await act();
      } catch (error) {
        if (!isEnding) throw error;
      }
    };
    const lanes = [
      ...Array.from({ length: READERS }, () => lane(() => poster.get(HEAD))),
      ...Array.from({ length: WRITERS }, () => lane(() => writeEntry(poster, this.#entry()))),
    ];
    const ended = Promise.all(lanes).then(() => poster[Symbol.dispose]());
    // Heard of where it is awaited.
    ended.catch(() => undefined);
    return {
      ending: () => {
        isEnding = true;
      },
      ended,
    };
  }
}

async function startOf(start: () => Promise<ChildServer>): Promise<number> {
  const began = performance.now();
  await using child = await start();
  await readHead(child);
  return performance.now() - began;
}

async function readHead({ url }: ChildServer): Promise<void> {
  const response = await fetch(url + HEAD);
  await response.bytes();
  if (response.status !== 200) throw new Error(`expected 200 of ${HEAD}, got ${response.status}`);
}

async function untilTaken(act: () => Promise<void>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  for (;;)
    try {
      await act();
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await after(AGAIN_MS);
    }
}
