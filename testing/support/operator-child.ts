/**
 * A process that does one operator act on a data directory and says how it went, one line each: `opened`,
 * then `done` and what came of it, or `refused CODE`. `node operator-child.ts DIRECTORY ACT`; it ends
 * itself by SIGKILL after an unknown outcome, as a server must.
 */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { RegistryError } from '../../src/core/error.ts';
import { hashOf } from '../../src/core/hash.ts';
import { openFreeze } from '../../src/server/operator/freeze.ts';
import { snapshotCoverage } from '../../src/server/retention/coverage.ts';
import { Snapshots, snapshotDirectory } from '../../src/server/snapshot/snapshots.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { makeProposal } from './store-entries.ts';

const [directory = '', act = ''] = process.argv.slice(2);
const log = { debug() {}, info() {}, warn() {}, error() {} };
const signal = new AbortController().signal;

function say(line: string): void {
  // Synchronous: what was said is out before anything can kill the process.
  writeSync(1, `${line}\n`);
}

async function openStore(): Promise<Store> {
  return openSqliteStore({
    path: join(directory, 'registry.db'),
    metrics: { fsync: () => undefined, checkpointed: () => undefined },
    onFatal: ({ code }) => {
      say(`fatal ${code}`);
      process.kill(process.pid, 'SIGKILL');
    },
  });
}

function openSnapshots(store: Store): Snapshots {
  return new Snapshots({ store, dataDir: directory, log, now: Date.now, monotonicMs: () => 0 });
}

const ACTS: Readonly<Record<string, () => Promise<string>>> = {
  freeze: async () => {
    const freeze = await openFreeze(join(directory, 'freeze.json'), { now: Date.now, log });
    say('opened');
    return `${await freeze.freeze('a drill')}`;
  },
  thaw: async () => {
    const freeze = await openFreeze(join(directory, 'freeze.json'), { now: Date.now, log });
    say('opened');
    return `${await freeze.thaw('a drill')}`;
  },
  snapshot: async () => {
    await using store = await openStore();
    // So that the log is not empty.
    const proposal = makeProposal('dropped');
    await store.putProposal(proposal);
    await store.dropProposals([proposal.payloadB3]);
    say('opened');
    return (await openSnapshots(store).make(signal)).file;
  },
  cover: async () => {
    await using store = await openStore();
    const registry = hashOf((await store.entry(0))?.payload ?? new Uint8Array());
    const coverage = snapshotCoverage({
      directory: snapshotDirectory(directory),
      snapshots: openSnapshots(store),
      registry: () => registry,
      store,
      log,
    });
    say('opened');
    return `${await coverage.find({ oldest: 0, horizon: 2 }, signal)}`;
  },
  compact: async () => {
    await using store = await openStore();
    // So that there is something to drop, and a log to fold.
    await store.putProposal({ ...makeProposal('expired'), expiresAt: '2020-01-01T00:00:00.000Z' });
    say('opened');
    const { isLogFolded } = await store.compact({ expiredBefore: new Date().toISOString() });
    return `${isLogFolded}`;
  },
};

try {
  say(`done ${await ACTS[act]?.()}`);
} catch (error) {
  say(`refused ${error instanceof RegistryError ? error.code : error}`);
}
