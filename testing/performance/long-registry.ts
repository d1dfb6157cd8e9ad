/**
 * Registries with a long log. A log is made once and kept; what is measured runs over a copy, so that the
 * next run finds what this one found.
 */
import { access, constants, copyFile, mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { SCHEMA_VERSION } from '../../src/store/sqlite-schema.ts';
import { catalogueChanges } from './catalogue-set.ts';
import type { ChildServer, NodeChild } from './child.ts';
import { longLogGenesis, makeLongLog } from './long-log.ts';
import { cpuUs } from './machine.ts';
import {
  metricsUrlOf,
  type RegistryProcess,
  type RegistryProcessOptions,
  spawnRegistry,
} from './registry-process.ts';
import { makeTemporary } from './temporary.ts';

/** To be raised when `long-log.ts` or `catalogue-set.ts` makes other logs of the same plan. */
const FORM = 1;
export const CATALOGUE_SEED = 6;
/** One signature an entry: three would take most of the time that a log is made in. */
export const LONG_LOG_SIGNERS = { signerCount: 1, threshold: 1 };
const TELL_EVERY_MS = 10_000;
const IDLE_SHARE = 0.03;
const IDLE_MS = 500;
const IDLE_TIMES = 3;
/** A walk over 10^6 entries takes a minute or two on a busy core. */
const IDLE_DEADLINE_MS = 900_000;

export interface LongRegistryPlan {
  /** The directory in which logs are kept from run to run. */
  readonly cache: string;
  readonly entries: number;
  readonly descriptors: number;
  /** Whether they are realistic ones, of `catalogue-set.ts`. Default: small puts that go round. */
  readonly isCatalogue?: boolean;
  /** Default: to standard error, for a log may be minutes in the making. */
  readonly say?: (line: string) => void;
  /** What is done to the copy before the server starts over it. */
  readonly prepare?: (path: string) => Promise<void>;
  /** How the server is started. */
  readonly process?: RegistryProcessOptions;
  /** Over its data directory. Default: from the source, as `process` says. */
  readonly serve?: (directory: string) => Promise<NodeChild>;
}

export interface LongRegistry
  extends ChildServer,
    Pick<RegistryProcess, 'metricsUrl' | 'registry' | 'signers'>,
    Pick<LongRegistryPlan, 'entries' | 'descriptors'> {
  /** Its data directory. */
  readonly directory: string;
}

/** A fresh data directory with a copy of the log, gone with the stack or with this process. */
export async function copyLongLog(
  plan: LongRegistryPlan,
  stack: AsyncDisposableStack,
): Promise<string> {
  const kept = await keptLongLog(plan);
  const directory = await makeTemporary('quorate-perf-long-', stack);
  await copyFile(kept, join(directory, 'registry.db'), constants.COPYFILE_FICLONE);
  return directory;
}

/** A macronode over a copy of the log, when it has walked over it and has nothing left to do. */
export async function startLongRegistry(
  plan: LongRegistryPlan,
  stack: AsyncDisposableStack,
): Promise<LongRegistry> {
  const directory = await copyLongLog(plan, stack);
  await plan.prepare?.(join(directory, 'registry.db'));
  const { serve = (data) => spawnRegistry('macronode', data, plan.process) } = plan;
  const child = stack.use(await serve(directory));
  await untilIdle(child.pid);
  const { genesis, signers } = longLogGenesis(LONG_LOG_SIGNERS);
  const { entries, descriptors } = plan;
  const metricsUrl = metricsUrlOf(child.said);
  const { payloadB3: registry } = genesis;
  return { ...child, directory, metricsUrl, entries, descriptors, registry, signers };
}

/** The path of the kept log, which is made first where there is none. */
async function keptLongLog(plan: LongRegistryPlan): Promise<string> {
  const { cache, entries, descriptors, isCatalogue = false } = plan;
  const name = isCatalogue ? 'catalogue' : 'log';
  const path = join(cache, `${name}-${entries}-${descriptors}-${SCHEMA_VERSION}-${FORM}.db`);
  const isThere = await access(path).then(
    () => true,
    () => false,
  );
  if (!isThere) await makeKept(path, plan);
  return path;
}

/** Beside where it will be kept, and renamed when it is whole. */
async function makeKept(path: string, plan: LongRegistryPlan): Promise<void> {
  const { cache, entries, descriptors, isCatalogue, say = console.error } = plan;
  await mkdir(cache, { recursive: true });
  await using stack = new AsyncDisposableStack();
  const made = join(await makeTemporary('making-', stack, cache), 'registry.db');
  await makeLongLog({
    path: made,
    count: entries,
    ...(isCatalogue
      ? { changes: catalogueChanges({ descriptors, entries, seed: CATALOGUE_SEED }) }
      : { descriptors }),
    ...LONG_LOG_SIGNERS,
    onProgress: progressOf(entries, say),
  });
  await rename(made, path);
}

function progressOf(entries: number, say: (line: string) => void): (made: number) => void {
  const began = performance.now();
  let told = began;
  return (made) => {
    const now = performance.now();
    if (made < entries && now - told < TELL_EVERY_MS) return;
    told = now;
    const seconds = Math.round((now - began) / 1_000);
    say(`a log of ${sizeText(entries)} entries: ${made} made in ${seconds} s`);
  };
}

/** 10^5 and not 100000, where it is a power of ten. */
export function sizeText(size: number): string {
  const power = Math.round(Math.log10(size));
  return 10 ** power === size ? `10^${power}` : size.toLocaleString('en-US');
}

/**
 * After its start a server walks over its log on the thread that answers, and tells nobody when it is
 * through. So it is when the process does nothing any more.
 */
async function untilIdle(pid: number): Promise<void> {
  const deadline = performance.now() + IDLE_DEADLINE_MS;
  for (let times = 0; times < IDLE_TIMES; ) {
    const [before, began] = [cpuUs(pid), performance.now()];
    await after(IDLE_MS);
    const share = (cpuUs(pid) - before) / 1_000 / (performance.now() - began);
    times = share < IDLE_SHARE ? times + 1 : 0;
    if (performance.now() > deadline)
      throw new Error(`expected an idle server, got one that uses ${share.toFixed(2)} of a core`);
  }
}
