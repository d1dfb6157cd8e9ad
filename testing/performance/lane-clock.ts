/**
 * Loaded into a measured server before all else (`--import`): prints how long each step of the commit lane took, in the
 * lane's own thread, from its begin to its end. Nobody else's write is made meanwhile.
 */
import { existsSync, openSync, readSync, writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { CommitLane } from '../../src/store/commit-lane.ts';
import type { Write } from '../../src/store/lane-messages.ts';
import { formatStep, type StepKind } from './lane-steps.ts';

/** Of the thread that reads it: nanoseconds on a core, nanoseconds ready without one, and how often. Linux alone has it. */
const SCHEDULED = '/proc/thread-self/schedstat';

// The lane is a thread's.
if (!isMainThread) tellSteps();

function tellSteps(): void {
  const { run, fold, catchUp, compact, cut, wipe } = CommitLane.prototype;
  const coreless = corelessClock();
  let isWithin = false;
  /** A compaction runs a batch of its own: what holds the lane is the whole. */
  const timed = <T>(lane: CommitLane, kind: StepKind, act: () => T): T => {
    if (isWithin) return act();
    isWithin = true;
    const [began, corelessBegan] = [performance.now(), coreless()];
    try {
      return act();
    } finally {
      const ms = performance.now() - began;
      const corelessMs = coreless() - corelessBegan;
      isWithin = false;
      writeSync(1, `${formatStep({ kind, ms, corelessMs, isWiped: !lane.isWipeDemanded })}\n`);
    }
  };
  CommitLane.prototype.run = function (this: CommitLane, writes) {
    return timed(this, kindOf(writes), () => run.call(this, writes));
  };
  CommitLane.prototype.fold = function (this: CommitLane) {
    return timed(this, 'fold', () => fold.call(this));
  };
  CommitLane.prototype.catchUp = function (this: CommitLane) {
    return timed(this, 'catch-up', () => catchUp.call(this));
  };
  CommitLane.prototype.compact = function (this: CommitLane, before) {
    return timed(this, 'compact', () => compact.call(this, before));
  };
  CommitLane.prototype.cut = function (this: CommitLane) {
    return timed(this, 'cut', () => cut.call(this));
  };
  CommitLane.prototype.wipe = function (this: CommitLane) {
    return timed(this, 'wipe', () => wipe.call(this));
  };
}

/** Milliseconds that this thread was ready to run and waited for a core. */
function corelessClock(): () => number {
  if (!existsSync(SCHEDULED)) return () => 0;
  const file = openSync(SCHEDULED, 'r');
  const text = Buffer.alloc(128);
  return () => {
    const length = readSync(file, text, 0, text.length, 0);
    return Number(text.toString('latin1', 0, length).split(' ')[1]) / 1e6;
  };
}

function kindOf(writes: readonly Write[]): StepKind {
  return writes.some(({ type }) => type === 'prune_step') ? 'prune' : 'batch';
}
