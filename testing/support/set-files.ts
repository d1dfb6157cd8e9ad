/** Prepared sets of a registry in this process, written without a thread, with a clock that the test drives. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { PreparedSet, WholeSet } from '../../src/http/prepared-sets.ts';
import { streamSet } from '../../src/http/set-body.ts';
import type { Registry } from '../../src/registry/registry.ts';
import { SetFiles, type SetFilesOptions } from '../../src/server/prepared-sets/set-files.ts';
import { type SetOrder, writeSet } from '../../src/server/prepared-sets/write-set.ts';
import type { Log, LogFields } from '../../src/telemetry/log.ts';
import { openTestRegistry, put, type TestRegistry } from './registry.ts';
import { makeDirectory } from './store-sqlite.ts';
import { TestTimers } from './timers.ts';

export interface TestSetFiles {
  readonly files: SetFiles;
  readonly directory: string;
  readonly timers: TestTimers;
  readonly orders: readonly SetOrder[];
  readonly lines: readonly { readonly message: string; readonly fields: LogFields | undefined }[];
  /** Of the directory. */
  readonly names: () => readonly string[];
}

const MIB = 1024 * 1024;

/** Version 1 has 40 descriptors, a body of three quarters of a MiB: three chunks. */
export async function openLargeSet(): Promise<TestRegistry> {
  const real = await openTestRegistry();
  const text = 'x'.repeat(19_000);
  await real.change(...Array.from({ length: 40 }, (_, i) => put(`d${i}`, { i, text })));
  return real;
}

export async function openSetFiles(
  { store }: Pick<TestRegistry, 'store'>,
  options: Partial<SetFilesOptions> = {},
): Promise<TestSetFiles> {
  const timers = new TestTimers(0);
  const orders: SetOrder[] = [];
  const lines: { message: string; fields: LogFields | undefined }[] = [];
  const tell = (message: string, fields?: LogFields) => void lines.push({ message, fields });
  const log: Log = { debug: tell, info: tell, warn: tell, error: tell };
  const directory = options.directory ?? join(makeDirectory(), 'sets');
  const { write = (order: SetOrder) => writeSet(store, order) } = options;
  const files = await SetFiles.open({
    maxBytes: () => 10 * MIB,
    minFreeBytes: () => 0,
    timers,
    nowMs: () => timers.now(),
    log,
    ...options,
    directory,
    write: (order, signal) => {
      orders.push(order);
      return write(order, signal);
    },
  });
  const names = () => (existsSync(directory) ? readdirSync(directory) : []);
  return { files, directory, timers, orders, lines, names };
}

export async function wholeSet(registry: Registry, version: number): Promise<WholeSet> {
  const set = await registry.reader.set(version);
  const origin = registry.head()?.object.origin;
  if (set === undefined || origin === undefined) throw new Error(`expected version ${version}`);
  return { version, setRoot: set.setRoot, size: set.size, origin };
}

/** As it is streamed from the registry. */
export async function streamedSet(registry: Registry, version: number): Promise<string> {
  const set = await registry.reader.set(version);
  if (set === undefined) throw new Error(`expected version ${version}`);
  return new Response(streamSet(set, registry.head()?.object.origin ?? '')).text();
}

export function textOf(prepared: PreparedSet | undefined): Promise<string> {
  if (prepared === undefined) throw new Error('expected a prepared set, got none');
  return new Response(prepared.body).text();
}
