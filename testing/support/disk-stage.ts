/** A disk gate and its ballast on a clock of the test: a real file, and a disk whose room the test decides. */
import { once } from 'node:events';
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Ballast } from '../../src/server/health/ballast.ts';
import { DiskGate } from '../../src/server/health/disk-gate.ts';
import type { EndedWrite } from '../../src/server/health/watched-store.ts';
import type { LogFields } from '../../src/telemetry/log.ts';
import { makeDirectory } from './store-sqlite.ts';
import { TestTimers } from './timers.ts';

export interface DiskStageOptions {
  /** Of the disk, for the ballast and for whatever else `stage.room` says. */
  readonly room: number;
  readonly minBytes?: number;
  readonly warnBytes?: number;
  readonly ballastBytes?: number;
  /** A directory that was there before. */
  readonly dataDir?: string;
}

export type DiskStage = Awaited<ReturnType<typeof openDiskStage>>;

export async function openDiskStage(options: DiskStageOptions) {
  const { room, minBytes = 0, warnBytes = 0, ballastBytes = 0 } = options;
  const dataDir = options.dataDir ?? join(makeDirectory(), 'data');
  mkdirSync(dataDir, { recursive: true });
  const path = join(dataDir, 'ballast');
  const size = () => statSync(path, { throwIfNoEntry: false })?.size;
  const timers = new TestTimers(1_000_000);
  const nowMs = () => timers.now();
  const lines: (readonly [message: string, fields: LogFields])[] = [];
  const told = new EventTarget();
  const settings = { room, minBytes, warnBytes, ballastBytes };
  const metric: { disk: { freeBytes: number; mark: number } | undefined } = { disk: undefined };
  let last: EndedWrite | undefined;
  const tell = (message: string, fields: LogFields = {}) => void lines.push([message, fields]);
  const log = { info: tell, warn: tell };
  const ballast = new Ballast({ dataDir, bytes: () => settings.ballastBytes, nowMs, log });
  const gate = await DiskGate.open({
    freeBytes: async () => settings.room - (size() ?? 0),
    marks: () => settings,
    ballast,
    writes: { oldestMs: () => 0, last: () => last },
    nowMs,
    timers,
    metrics: {
      disk: (state) => {
        metric.disk = state;
        told.dispatchEvent(new Event('look'));
      },
    },
    log,
  });
  /** The next looks; each ends, and so does what it began. */
  const look = async (seconds = 1) => {
    for (let second = 0; second < seconds; second++) {
      const isOver = once(told, 'look');
      timers.advance(1_000);
      await isOver;
      await ballast.idle();
    }
  };
  return {
    dataDir,
    path,
    size,
    timers,
    lines,
    metric,
    /** May be changed, as a reload and the world do. */
    settings,
    ballast,
    gate,
    look,
    /** Whether writes are refused. */
    isShut: () => gate.refusal() !== undefined,
    messages: () => lines.map(([message]) => message),
    /** A write ends now. */
    write: ({ isRefused }: { readonly isRefused: boolean }) => {
      last = { tookMs: 0, endedMs: timers.now(), isRefused };
    },
  };
}
