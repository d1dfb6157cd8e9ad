/** Makes a database with a long log, for audits, reads and starts: real signatures, a real tree. */
import { parseArgs } from 'node:util';
import { encodeUtf8 } from '../../src/core/bytes.ts';
import { canonicalBytes, type JsonObject } from '../../src/core/canonical.ts';
import { type Appended, appendEntry, type Chain } from '../../src/core/chain.ts';
import { formatHash, type Hash } from '../../src/core/hash.ts';
import { compareKeys, type DecodedPayload, decodePayload } from '../../src/core/payload.ts';
import { formatTime } from '../../src/core/time.ts';
import { encodeCheckpoint } from '../../src/core/tlog/checkpoint.ts';
import { encodeNote } from '../../src/core/tlog/note.ts';
import { parseVerifierKey } from '../../src/core/vkey.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import {
  genesisPayload,
  LOG_SIGNER,
  makeGovernance,
  makeSigners,
  ORIGIN,
  START,
  type TestSigner,
} from '../support/signers.ts';

/** Written at once. */
const BATCH_ENTRIES = 512;
const BATCH_CHANGES = 8_192;

/** What an entry does to one descriptor; `null` removes what is there. */
export interface LogChange {
  readonly kind: string;
  readonly id: string;
  readonly spec: JsonObject | null;
}

export interface LongLogPlan {
  readonly path: string;
  /** Entries after genesis. */
  readonly count: number;
  /** What each of them does. Default: one put. */
  readonly changes?: Iterable<readonly LogChange[]>;
  /** Of those puts. Default: each is of a new one. Else they go round: all but the first of each replace. */
  readonly descriptors?: number;
  /** Who signs, and how many of them each entry. Default: 5, 3. */
  readonly signerCount?: number;
  readonly threshold?: number;
  /** After every batch, with the entries that are durable. */
  readonly onProgress?: (made: number) => void;
}

/** Signed by the key of `makeGovernance`, which also signs a checkpoint over all. */
export async function makeLongLog(plan: LongLogPlan): Promise<Chain> {
  const store = await openSqliteStore({
    path: plan.path,
    metrics: { fsync() {}, checkpointed() {} },
    onFatal: (error) => {
      throw error;
    },
  });
  try {
    return await fill(store, plan);
  } finally {
    await store[Symbol.asyncDispose]();
  }
}

/** Where the log is begun by `signerCount` signers of whom `threshold` must approve. */
export function longLogGenesis({ signerCount = 5, threshold = 3 }: Partial<LongLogPlan> = {}): {
  readonly genesis: DecodedPayload;
  readonly signers: readonly TestSigner[];
} {
  const signers = makeSigners(signerCount);
  return { genesis: genesisPayload(makeGovernance(signers, { threshold })), signers };
}

/** Of the put with this number. */
export function longLogId(n: number, descriptors = Number.POSITIVE_INFINITY): string {
  const descriptor = n % descriptors;
  return `node-${String(descriptor).padStart(7, '0')}.example.com`;
}

async function fill(store: Store, plan: LongLogPlan): Promise<Chain> {
  const { count, threshold = 3, onProgress = () => undefined } = plan;
  const { genesis, signers } = longLogGenesis(plan);
  const first = appendTo(null, genesis, signers);
  const changes = (plan.changes ?? onePutEach(plan))[Symbol.iterator]();
  const values = new Map<string, Hash>();
  let chain = first.chain;
  // While a batch is written, in a thread of its own, the next one is made.
  let writing = write(store, [first]);
  for (let made = 0; made < count; ) {
    const batch: Appended[] = [];
    for (let size = 0; isRoom(batch, size) && made < count; made++) {
      const proposal = payloadOf(chain, { n: made, changes: changes.next().value ?? [], values });
      const from = made % (signers.length - threshold + 1);
      const appended = appendTo(chain, proposal, signers.slice(from, from + threshold));
      keepValues(values, appended);
      batch.push(appended);
      size += appended.changes.length;
      chain = appended.chain;
    }
    await writing;
    writing = write(store, batch);
    onProgress(made - batch.length);
  }
  await writing;
  await store.putCheckpoint(await signedCheckpoint(chain));
  onProgress(count);
  return chain;
}

function isRoom(batch: readonly Appended[], changes: number): boolean {
  return batch.length < BATCH_ENTRIES && changes < BATCH_CHANGES;
}

/** No two puts are alike. */
function* onePutEach({ count, descriptors }: LongLogPlan): Generator<readonly LogChange[]> {
  for (let n = 0; n < count; n++) {
    const address = `10.0.${n % 256}.${(n >> 8) % 256}`;
    const spec = { address, port: 8000 + (n % 100), release: n };
    yield [{ kind: 'service', id: longLogId(n, descriptors), spec }];
  }
}

function keepValues(values: Map<string, Hash>, { changes }: Appended): void {
  for (const { kind, id, valueHash } of changes)
    if (valueHash === null) values.delete(`${kind}/${id}`);
    else values.set(`${kind}/${id}`, formatHash(valueHash));
}

interface Step {
  readonly n: number;
  readonly changes: readonly LogChange[];
  /** Of what is there. */
  readonly values: ReadonlyMap<string, Hash>;
}

function payloadOf(chain: Chain, { n, changes, values }: Step): DecodedPayload {
  const at = START + n * 10;
  return decodePayload(
    canonicalBytes({
      schema_version: '1.0.0',
      origin: ORIGIN,
      registry: chain.registry,
      type: 'descriptors',
      created_at: formatTime(at),
      expires_at: formatTime(at + 86_400_000),
      note: '',
      changes: changes.toSorted(compareKeys).map(({ kind, id, spec }) => {
        const replaces = values.get(`${kind}/${id}`) ?? null;
        return spec === null
          ? { op: 'remove', kind, id, replaces }
          : { op: 'put', kind, id, spec, replaces };
      }),
    }),
  );
}

function appendTo(
  chain: Chain | null,
  proposal: DecodedPayload,
  signers: readonly TestSigner[],
): Appended {
  const { created_at } = proposal.payload;
  return appendEntry(chain, {
    proposal,
    approvals: signers.map((signer) => signer.approve(proposal)),
    committedAt: created_at,
    isCommitted: () => false,
  });
}

async function write(store: Store, batch: readonly Appended[]): Promise<void> {
  const [first] = batch;
  if (first === undefined) throw new Error('expected entries, got none');
  const { outcome } = await store.append({
    expected: first.chain.version - 1,
    entries: batch.map(({ chain, leaf, entry, changes, nodes }) => ({
      ...entry,
      version: chain.version,
      entryHash: chain.entryHash,
      payloadB3: leaf.payload_b3,
      type: leaf.type,
      expiresAt: formatTime(Date.parse(leaf.committed_at) + 86_400_000),
      changes,
      nodes,
    })),
  });
  if (outcome !== 'appended') throw new Error(`expected appended, got ${outcome}`);
}

async function signedCheckpoint({ tree, governance }: Chain): Promise<string> {
  const text = encodeCheckpoint({ origin: ORIGIN, size: tree.size, root: tree.root });
  const { keyId = '' } = parseVerifierKey(governance.log_keys[0] ?? '') ?? {};
  const signature = await LOG_SIGNER.sign(encodeUtf8(text));
  return encodeNote({ text, signatures: [{ name: ORIGIN, keyId, signature }] });
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      output: { type: 'string' },
      count: { type: 'string', default: '20000' },
      descriptors: { type: 'string' },
    },
  });
  if (values.output === undefined) throw new Error('expected --output with a path');
  const descriptors = values.descriptors === undefined ? {} : { descriptors: +values.descriptors };
  const chain = await makeLongLog({
    path: values.output,
    count: Number(values.count),
    ...descriptors,
  });
  console.log(`${values.output}: ${chain.version + 1} entries of ${chain.registry}`);
}
