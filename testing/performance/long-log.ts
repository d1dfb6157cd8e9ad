/** Makes a database with a long log of small entries, for audits, reads and starts: real signatures, a real tree. */
import { parseArgs } from 'node:util';
import { encodeUtf8 } from '../../src/core/bytes.ts';
import { canonicalBytes } from '../../src/core/canonical.ts';
import { type Appended, appendEntry, type Chain } from '../../src/core/chain.ts';
import { formatHash, type Hash } from '../../src/core/hash.ts';
import { type DecodedPayload, decodePayload } from '../../src/core/payload.ts';
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

const BATCH = 512;

export interface LongLogPlan {
  readonly path: string;
  /** Entries after genesis, one put each. */
  readonly count: number;
  /** Default: each put is of a new one. Else the puts go round: all but the first of each replace. */
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
  let chain = first.chain;
  const values = new Map<string, Hash>();
  // While a batch is written, in a thread of its own, the next one is made.
  let writing = write(store, [first]);
  for (let made = 0; made < count; ) {
    const batch: Appended[] = [];
    for (; batch.length < BATCH && made < count; made++) {
      const id = longLogId(made, plan.descriptors);
      const proposal = changeOf(chain, { n: made, id, replaces: values.get(id) ?? null });
      const from = made % (signers.length - threshold + 1);
      const appended = appendTo(chain, proposal, signers.slice(from, from + threshold));
      if (plan.descriptors !== undefined) values.set(id, putValueOf(appended));
      batch.push(appended);
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

function putValueOf({ changes: [change] }: Appended): Hash {
  if (!change?.valueHash) throw new Error('expected the put of a value, got none');
  return formatHash(change.valueHash);
}

interface Put {
  readonly n: number;
  readonly id: string;
  readonly replaces: Hash | null;
}

function changeOf(chain: Chain, { n, id, replaces }: Put): DecodedPayload {
  const at = START + n * 10;
  // No two puts are alike.
  const spec = { address: `10.0.${n % 256}.${(n >> 8) % 256}`, port: 8000 + (n % 100), release: n };
  return decodePayload(
    canonicalBytes({
      schema_version: '1.0.0',
      origin: ORIGIN,
      registry: chain.registry,
      type: 'descriptors',
      created_at: formatTime(at),
      expires_at: formatTime(at + 86_400_000),
      note: '',
      changes: [{ op: 'put', kind: 'service', id, spec, replaces }],
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
