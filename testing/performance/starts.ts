/** Starts of a server on an existing registry: how long until it answers, and what it then holds of memory. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bench } from './bench.ts';
import { type ChildServer, startChild } from './child.ts';
import type { Profile, Sample } from './figure.ts';
import { residentMib } from './machine.ts';
import { begin, type RegistryProcessOptions, spawnRegistry } from './registry-process.ts';

export interface StartsPlan extends RegistryProcessOptions {
  readonly profile: Profile;
}

/** A micronode starts without a registry, so what it is asked for is not its head. */
const PATHS: Readonly<Record<Profile, string>> = {
  micronode: '/healthz',
  macronode: '/registry/head',
};

export async function openStarts(plan: StartsPlan): Promise<Bench> {
  const { profile } = plan;
  const directory = await mkdtemp(join(tmpdir(), 'quorate-perf-starts-'));
  const path = PATHS[profile];
  const ours = () => spawnRegistry(profile, join(directory, 'data'), plan);
  const bare = await bareStart(directory, path);
  if (profile === 'macronode') {
    await using first = await ours();
    await begin(first.url);
  }
  // Once each, so that both have been compiled before.
  await startOf(ours, path);
  await startOf(bare, path);
  return {
    // Each starts and ends within its round.
    pids: [],
    round: async () => samplesOf(await startOf(ours, path), await startOf(bare, path)),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}

/** Of node:http that answers the path, and has its answer in the directory. */
export async function bareStart(
  directory: string,
  path: string,
): Promise<() => Promise<ChildServer>> {
  const answers = join(directory, 'answers.json');
  const answer = { path, status: 200, etag: '"a"', contentType: 'text/plain', headers: [] };
  await writeFile(answers, JSON.stringify([{ ...answer, body: 'here' }]));
  return () => startChild('bare-server.ts', [answers]);
}

interface Start {
  readonly ms: number;
  readonly mib: number;
}

async function startOf(start: () => Promise<ChildServer>, path: string): Promise<Start> {
  const began = performance.now();
  await using child = await start();
  const { status } = await fetch(child.url + path);
  const ms = performance.now() - began;
  if (status !== 200) throw new Error(`expected 200 of ${path}, got ${status}`);
  return { ms, mib: residentMib(child.pid) };
}

function samplesOf(ours: Start, theirs: Start): Sample[] {
  const reference = 'bare node:http';
  return [
    {
      name: 'start: until it answers',
      kind: 'latency',
      unit: 'ms',
      reference,
      ours: ours.ms,
      theirs: theirs.ms,
    },
    {
      name: 'memory: idle',
      kind: 'memory',
      unit: 'MiB',
      reference,
      ours: ours.mib,
      theirs: theirs.mib,
      isGated: true,
    },
  ];
}
