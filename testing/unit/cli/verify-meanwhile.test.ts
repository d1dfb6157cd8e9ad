/** An audit of a database whose server goes on: whatever it prunes, erases or commits between two reads is no damage. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import type { AuditSummary } from '../../../src/cli/audit.ts';
import { auditDatabase } from '../../../src/cli/audit-database.ts';
import { errorCode } from '../../../src/core/error.ts';
import { type AuditedDatabase, openAudit } from '../../../src/server/audit.ts';
import { createNativeVerifier } from '../../../src/server/native-verifier.ts';
import { makeDirectory } from '../../support/cli-stage.ts';
import { erase, openChanged } from '../../support/letting-go.ts';
import { keepCheckpoint, put, type TestRegistry } from '../../support/registry.ts';
import { openInProcess } from '../../support/store-in-process.ts';
import { withoutTriggers } from '../../support/store-triggers.ts';

/** Of the log when the audit begins. */
const NEWEST = 5;

/** Versions 1 to 5: `a` is put, replaced and removed, `b` put beside and then replaced. */
async function openServer(path: string): Promise<TestRegistry> {
  const real = await openChanged(openInProcess(path));
  await real.change(put('b', { n: 2 }, { n: 1 }));
  await keepCheckpoint(real);
  return real;
}

/** One entry comes with each page; before its `at`-th read after the first something happens. */
function interrupted(
  database: AuditedDatabase,
  { at, act }: { readonly at: number; readonly act: () => Promise<unknown> },
): { readonly database: AuditedDatabase; readonly reads: () => number } {
  let reads = 0;
  const next = async (): Promise<void> => {
    if (reads++ === at) await act();
  };
  const instead: Partial<AuditedDatabase> = {
    page: async (from) => {
      await next();
      return (await database.page(from)).slice(0, 1);
    },
    spans: async (key) => {
      await next();
      return database.spans(key);
    },
    descriptors: async function* (version) {
      await next();
      yield* database.descriptors(version);
    },
  };
  const proxy = new Proxy(database, {
    get: (target, name) => Reflect.get(name in instead ? instead : target, name),
  });
  return { database: proxy, reads: () => reads };
}

interface Audited {
  readonly outcome: AuditSummary | string;
  readonly reads: number;
}

async function audit(
  path: string,
  when: { readonly at: number; readonly act: () => Promise<unknown> },
  isPrunedAccepted: boolean,
): Promise<Audited> {
  const verifier = createNativeVerifier();
  await using opened = await openAudit(path);
  const { database, reads } = interrupted(opened, when);
  const outcome = await auditDatabase(database, {
    verifier,
    verifySignatures: async (batch) => {
      const all = await Promise.all(batch.map((signed) => verifier.verify(signed)));
      return all.indexOf(false);
    },
    registry: undefined,
    isPrunedAccepted,
    witnesses: async () => undefined,
    onProgress: () => undefined,
  }).catch((error: unknown) => `${errorCode(error)}: ${error}`);
  return { outcome, reads: reads() };
}

const pruned = async (real: TestRegistry): Promise<void> => real.registry.prune(4);
const erased = (real: TestRegistry): Promise<void> => erase(real, 1);
const grown = async (real: TestRegistry): Promise<void> => {
  await real.change(put('b', { n: 3 }, { n: 2 }));
  await keepCheckpoint(real);
};

type Act = (real: TestRegistry) => Promise<void>;

interface Case {
  readonly what: string;
  /** Before the audit begins. */
  readonly earlier?: Act;
  readonly acts: readonly Act[];
}

const CASES: readonly Case[] = [
  { what: 'entries are pruned', acts: [pruned] },
  { what: 'more entries are pruned', earlier: (real) => real.registry.prune(2), acts: [pruned] },
  { what: 'an entry is erased', acts: [erased] },
  { what: 'one is committed, one erased and others pruned', acts: [grown, erased, pruned] },
  { what: 'all others are pruned', acts: [grown, (real) => real.registry.prune(NEWEST + 1)] },
];

for (const { what, earlier, acts } of CASES)
  test(`wherever ${what} during an audit, nothing is taken for damage`, async (t) => {
    for (const isPrunedAccepted of what === 'entries are pruned' ? [true, false] : [true]) {
      let reads = 1;
      for (let at = 0; at < reads; at++) {
        const path = join(makeDirectory(), 'registry.db');
        const real = await openServer(path);
        await earlier?.(real);
        let isDone = false;
        const act = async (): Promise<void> => {
          for (const one of acts) await one(real);
          isDone = true;
        };
        const audited = await audit(path, { at, act }, isPrunedAccepted);
        await real.registry[Symbol.asyncDispose]();
        assert.ok(isDone || !isPrunedAccepted);
        ({ reads } = audited);
        const { outcome } = audited;
        const told = `before read ${at} of ${reads}: ${typeof outcome === 'string' ? outcome : ''}`;
        if (typeof outcome !== 'string') assert.ok(outcome.version >= NEWEST, told);
        else assert.ok(!isPrunedAccepted && outcome.startsWith('pruned'), told);
      }
      t.diagnostic(`${reads} reads`);
      assert.ok(reads > NEWEST + 2);
    }
  });

test('a payload that goes during an audit though nothing erases it is missed', async () => {
  const path = join(makeDirectory(), 'registry.db');
  const real = await openServer(path);
  const act = async (): Promise<void> => {
    const db = new Database(path);
    withoutTriggers(db, () => {
      db.exec("UPDATE entries SET payload = x'' WHERE version = 1");
      db.exec("UPDATE spans SET bytes = x'' WHERE set_version = 1");
    });
    db.close();
  };
  const { outcome } = await audit(path, { at: NEWEST + 1, act }, true);
  await real.registry[Symbol.asyncDispose]();
  assert.match(String(outcome), /^invalid_entry: .*entry 1: expected its payload, or an entry/);
});
