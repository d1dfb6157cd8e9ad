/**
 * The worker thread of the commit lane. It ends by itself after `refused` and `closed`; after
 * `failed` it stays and does nothing, because ending it would close the database.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { CommitLane } from './commit-lane.ts';
import type { LaneData, LaneReport, LaneRequest } from './lane-messages.ts';
import { LogFold } from './log-fold.ts';
import { storageError } from './sqlite-errors.ts';

/** After a step that could not be made. */
const AGAIN_MS = 1_000;

function serve(port: MessagePort, { path }: LaneData): void {
  const report = (message: LaneReport): void => port.postMessage(message);
  let lane: CommitLane;
  try {
    lane = new CommitLane(path);
  } catch (cause) {
    const { code, message } = storageError(cause, `to open ${path}`);
    report({ type: 'refused', error: { code, message } });
    return;
  }
  let isFailed = false;
  let again: NodeJS.Timeout | undefined;
  const attempt = (act: () => LaneReport | undefined): void => {
    if (isFailed) return;
    try {
      const began = performance.now();
      const message = act();
      if (message !== undefined) report(message);
      // As long a rest as it took: half of the lane is left to others. What was erased goes although nobody writes.
      const restMs = message === undefined ? AGAIN_MS : performance.now() - began;
      if (lane.isToCut || lane.isWipeDemanded) again ??= setTimeout(tidy, restMs);
      if (lane.isToFold) logFold.start(lane.mainFile);
    } catch (cause) {
      isFailed = true;
      void logFold.stop();
      const { code, message } = storageError(cause, `a write to ${path} to succeed`);
      report({ type: 'failed', error: { code, message } });
    }
  };
  const tidy = (): void => {
    again = undefined;
    if (lane.isToCut) attempt(() => lane.cut());
    else if (lane.isWipeDemanded) attempt(() => lane.wipe());
  };
  const logFold = new LogFold(path, (error) =>
    attempt(() => {
      if (error !== undefined) throw error;
      lane.foldedBeside();
      return lane.cut();
    }),
  );
  port.on('message', async (request: LaneRequest) => {
    // The connection that closes last removes the log: that is the lane's.
    if (request.type === 'close') await logFold.stop();
    attempt(() => answer(lane, request));
    if (request.type !== 'close' || isFailed) return;
    clearTimeout(again);
    port.close();
  });
  attempt(() => ({ type: 'opened' }));
}

function answer(lane: CommitLane, request: LaneRequest): LaneReport | undefined {
  switch (request.type) {
    case 'batch':
      return lane.run(request.writes);
    case 'fold':
      return lane.fold();
    case 'catch_up':
      return lane.catchUp();
    case 'compact':
      return lane.compact(request.expiredBefore);
    case 'close':
      return lane.close();
  }
}

if (parentPort !== null) serve(parentPort, workerData as LaneData);
