/** Blobs in a directory of the test, and bytes to be put. */
import { readdirSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { ERROR_CODES } from '../../src/core/error.ts';
import { type Hash, hashOf } from '../../src/core/hash.ts';
import type { RegistryTimers } from '../../src/registry/options.ts';
import { type BlobPaths, blobPath, blobPaths } from '../../src/server/blobs/blob-paths.ts';
import { BlobCollector, type CollectorParts } from '../../src/server/blobs/collector.ts';
import type { FileBlobs } from '../../src/server/blobs/file-blobs.ts';
import { openBlobs } from '../../src/server/blobs/open-blobs.ts';
import { loadConfig } from '../../src/server/config.ts';
import { LiveConfig } from '../../src/server/live-config.ts';
import { databasePath } from '../../src/server/open-store.ts';
import { createMetrics } from '../../src/telemetry/create-metrics.ts';
import type { LogFields } from '../../src/telemetry/log.ts';
import type { Metrics } from '../../src/telemetry/metrics.ts';
import { SILENT_LOG } from './registry.ts';
import { makeDataDir } from './server-start.ts';
import { TestTimers } from './timers.ts';

export const GRACE_MS = 3_600_000;

export interface TestBlobs {
  readonly blobs: FileBlobs;
  readonly dataDir: string;
  readonly paths: BlobPaths;
  readonly metrics: Metrics;
  /** Messages of errors and warnings. */
  readonly complaints: readonly string[];
  pathOf(address: Hash): string;
  /** Every file there is, by its name; the directories aside. */
  files(): readonly string[];
  reload(settings: Readonly<Record<string, string>>): Promise<void>;
  /** The value of one series. */
  metric(series: string): Promise<number>;
}

export interface TestBlobsOptions {
  /** Settings by key. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly dataDir?: string;
  readonly now?: () => number;
}

export async function openTestBlobs({
  settings = {},
  dataDir = makeDataDir(),
  now = Date.now,
}: TestBlobsOptions = {}): Promise<TestBlobs> {
  const complaints: string[] = [];
  const complain = (message: string, _fields?: LogFields) => void complaints.push(message);
  const metrics = createMetrics({
    build: { version: 'test', node: 'test' },
    reasons: ERROR_CODES,
    now: () => 0,
    isProcessObserved: false,
  });
  const flags = { data: dataDir, blobs: 'on', min_free_space: '0B', ballast: '0B', ...settings };
  let config = loadConfig({ flags });
  const load = async () => config;
  const live = new LiveConfig({ initial: config, load, log: SILENT_LOG, metrics, now });
  const blobs = await openBlobs({
    live,
    metrics,
    log: { debug() {}, info() {}, warn: complain, error: complain },
    now,
  });
  if (blobs === undefined) throw new Error('expected blobs to be on');
  await blobs.count();
  const paths = blobPaths(dataDir);
  return {
    blobs,
    dataDir,
    paths,
    metrics,
    complaints,
    pathOf: (address) => blobPath(paths, address),
    files: () => filesIn(paths.root),
    reload: async (next) => {
      config = loadConfig({ flags: { ...flags, ...next } });
      await live.reload();
    },
    metric: async (series) => {
      const { text } = await metrics.render();
      const line = text.split('\n').find((one) => one.startsWith(`${series} `));
      return Number(line?.slice(series.length + 1) ?? Number.NaN);
    },
  };
}

function filesIn(root: string): readonly string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);
}

/** Of a database in the same data directory. Closed when the test ends. */
export function openTestCollector(
  t: TestContext,
  kept: Pick<CollectorParts, 'dataDir' | 'blobs' | 'metrics'>,
  timers: RegistryTimers = new TestTimers(0),
): BlobCollector {
  const collector = new BlobCollector({
    ...kept,
    databasePath: databasePath(kept.dataDir),
    graceMs: () => GRACE_MS,
    log: SILENT_LOG,
    timers,
    now: Date.now,
  });
  t.after(() => collector.close());
  return collector;
}

export interface TestBlob {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly address: Hash;
}

/** Different for each `seed`. */
export function makeBlob(length: number, seed = 0): TestBlob {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8) * 7 + seed) % 256;
  return { bytes, address: hashOf(bytes) };
}

/** In pieces, as they may come. */
export async function* inPieces(
  bytes: Uint8Array,
  pieceBytes = 64 * 1024,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.slice(at, at + pieceBytes);
}

/** What `blob-child` puts: one of several batches, and one of a single batch. */
export const BLOBS_PUT: readonly TestBlob[] = [makeBlob(1_200_000, 5), makeBlob(100_000, 6)];
