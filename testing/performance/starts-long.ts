/** Starts on a registry with a long log: how long until the head is answered, and until writes are accepted. */
import { setTimeout } from 'node:timers/promises';
import type { Bench } from './bench.ts';
import type { ChildServer } from './child.ts';
import type { Sample } from './figure.ts';
import { copyLongLog, type LongRegistryPlan, sizeText } from './long-registry.ts';
import { bareStart } from './starts.ts';
import { median } from './statistics.ts';
import { makeTemporary } from './temporary.ts';

const HEAD = '/registry/head';
const READY = '/readyz';
const BARE = 'bare node:http';
/** A figure is above 0, also where the machine was kinder to us than to the bare one. */
const LEAST_MS = 0.1;
const WRITES_DEADLINE_MS = 120_000;
const ASKED_EVERY_MS = 5;

export interface LongStartsPlan extends LongRegistryPlan {
  /** In a round, each in turn with one of the reference. */
  readonly starts: number;
}

/** One start of a server over the data in a directory. */
export type StartOver = (directory: string) => Promise<ChildServer>;

/** `begin`: whatever must be there before the first start; it goes with the stack. */
export async function openStartsOver(
  plan: LongStartsPlan,
  name: string,
  begin: (stack: AsyncDisposableStack) => Promise<StartOver>,
): Promise<Bench> {
  const stack = new AsyncDisposableStack();
  try {
    const start = await begin(stack);
    const data = await copyLongLog(plan, stack);
    const directory = await makeTemporary('quorate-perf-starts-', stack);
    const ours = () => writableAfter(() => start(data));
    const bareServer = await bareStart(directory, HEAD);
    const bare = () => answersAfter(bareServer);
    // Once each, so that both have been read and compiled before.
    await ours();
    await bare();
    return {
      // Each starts and ends within its round.
      pids: [],
      round: async () => {
        const taken: Turn[] = [];
        for (let i = 0; i < plan.starts; i++)
          taken.push({ ours: await ours(), bareMs: await bare() });
        return samplesOf(`${name} at ${sizeText(plan.entries)} entries`, taken);
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

interface Start {
  readonly answersMs: number;
  readonly writesMs: number;
}

interface Turn {
  readonly ours: Start;
  readonly bareMs: number;
}

async function answersAfter(start: () => Promise<ChildServer>): Promise<number> {
  const began = performance.now();
  await using child = await start();
  await assertAnswers(child);
  return performance.now() - began;
}

async function writableAfter(start: () => Promise<ChildServer>): Promise<Start> {
  const began = performance.now();
  await using child = await start();
  await assertAnswers(child);
  const answersMs = performance.now() - began;
  for (;;) {
    const { write_ready } = (await (await fetch(child.url + READY)).json()) as Ready;
    const writesMs = performance.now() - began;
    if (write_ready) return { answersMs, writesMs };
    if (writesMs > WRITES_DEADLINE_MS)
      throw new Error(`expected writes to be accepted, got none in ${writesMs} ms`);
    // Asked all the time it would answer half of it, and not come to what it is asked for.
    await setTimeout(ASKED_EVERY_MS);
  }
}

interface Ready {
  readonly write_ready: boolean;
}

async function assertAnswers({ url }: ChildServer): Promise<void> {
  const response = await fetch(url + HEAD);
  await response.bytes();
  if (response.status !== 200) throw new Error(`expected 200 of ${HEAD}, got ${response.status}`);
}

function samplesOf(name: string, turns: readonly Turn[]): Sample[] {
  const sample = (what: string, ms: (turn: Turn) => number): Sample => ({
    name: `${name}: ${what}`,
    kind: 'latency',
    unit: 'ms',
    reference: BARE,
    ours: Math.max(LEAST_MS, median(turns.map(ms))),
    theirs: median(turns.map(({ bareMs }) => bareMs)),
  });
  return [
    sample('until it answers', ({ ours }) => ours.answersMs),
    sample(
      'until it answers, beyond bare node:http',
      ({ ours, bareMs }) => ours.answersMs - bareMs,
    ),
    sample('until it accepts writes', ({ ours }) => ours.writesMs),
  ];
}
