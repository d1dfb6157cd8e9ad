/** Makes a database with a long log of small entries, for audits to be measured on: real signatures, a real tree. */
import { parseArgs } from 'node:util';
import { encodeUtf8 } from '../../src/core/bytes.ts';
import { canonicalBytes } from '../../src/core/canonical.ts';
import { type Appended, appendEntry, type Chain } from '../../src/core/chain.ts';
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
const THRESHOLD = 3;

/** `count` entries after genesis, one put each, with three approvals; signed by the key of `makeGovernance`. */
export async function makeLongLog({
  path,
  count,
}: {
  readonly path: string;
  readonly count: number;
}): Promise<Chain> {
  const store = await openSqliteStore({
    path,
    metrics: { fsync() {}, checkpointed() {} },
    onFatal: (error) => {
      throw error;
    },
  });
  try {
    return await fill(store, count);
  } finally {
    await store[Symbol.asyncDispose]();
  }
}

async function fill(store: Store, count: number): Promise<Chain> {
  const signers = makeSigners(THRESHOLD + 2);
  const genesis = genesisPayload(makeGovernance(signers, { threshold: THRESHOLD }));
  let chain = await write(store, [appendTo(null, genesis, signers)]);
  for (let made = 0; made < count; ) {
    const batch: Appended[] = [];
    for (; batch.length < BATCH && made < count; made++) {
      const proposal = changeOf(chain, made);
      const appended = appendTo(chain, proposal, signers.slice(made % 3, (made % 3) + THRESHOLD));
      batch.push(appended);
      chain = appended.chain;
    }
    await write(store, batch);
  }
  await store.putCheckpoint(await signedCheckpoint(chain));
  return chain;
}

/** A put of a descriptor that is not there yet: the set grows with the log. */
function changeOf(chain: Chain, n: number): DecodedPayload {
  const at = START + n * 10;
  const id = `node-${String(n).padStart(7, '0')}.example.com`;
  const spec = { address: `10.0.${n % 256}.${(n >> 8) % 256}`, port: 8000 + (n % 100) };
  return decodePayload(
    canonicalBytes({
      schema_version: '1.0.0',
      origin: ORIGIN,
      registry: chain.registry,
      type: 'descriptors',
      created_at: formatTime(at),
      expires_at: formatTime(at + 86_400_000),
      note: '',
      changes: [{ op: 'put', kind: 'service', id, spec, replaces: null }],
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

async function write(store: Store, batch: readonly Appended[]): Promise<Chain> {
  const last = batch.at(-1);
  const first = batch[0];
  if (last === undefined || first === undefined) throw new Error('expected entries, got none');
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
  return last.chain;
}

async function signedCheckpoint({ tree, governance }: Chain): Promise<string> {
  const text = encodeCheckpoint({ origin: ORIGIN, size: tree.size, root: tree.root });
  const { keyId = '' } = parseVerifierKey(governance.log_keys[0] ?? '') ?? {};
  const signature = await LOG_SIGNER.sign(encodeUtf8(text));
  return encodeNote({ text, signatures: [{ name: ORIGIN, keyId, signature }] });
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { output: { type: 'string' }, count: { type: 'string', default: '20000' } },
  });
  if (values.output === undefined) throw new Error('expected --output with a path');
  const chain = await makeLongLog({ path: values.output, count: Number(values.count) });
  console.log(`${values.output}: ${chain.version + 1} entries of ${chain.registry}`);
}
