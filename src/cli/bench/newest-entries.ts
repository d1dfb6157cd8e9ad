/**
 * The newest entries of a log, and the chain that they follow as the registry tells it. It is good enough to
 * measure with: the entries must still follow it by every rule, but nothing says that it is the log's own.
 */
import { Answers, MAX_HEAD_BYTES, readHead } from '../../client/answers.ts';
import { parseJsonBytes } from '../../client/json.ts';
import { treeOf } from '../../client/known-set.ts';
import type { RequestBounds, Transport } from '../../client/transport.ts';
import { decodeEntry } from '../../core/chain.ts';
import { Check } from '../../core/check.ts';
import { type Governance, readGovernance } from '../../core/governance.ts';
import { parseHash } from '../../core/hash.ts';
import { type EntryBytes, entryHash } from '../../core/leaf.ts';
import { registryOf } from '../../core/payload.ts';
import type { Chain } from '../../core/rules.ts';
import { SetTree } from '../../core/set-tree.ts';
import { LogTree } from '../../core/tlog/log-tree.ts';
import { wholeBytes } from '../audit-entry.ts';
import type { ReplayState } from '../audit-replay.ts';

type Before = Pick<ReplayState, 'chain' | 'leaf'>;

export interface NewestEntries {
  readonly entries: readonly EntryBytes[];
  /** What stands before the first of them; `undefined`: that is genesis. */
  readonly before: Before | undefined;
  /** Of a version before the newest. */
  leafAt(version: number): Promise<Uint8Array>;
}

/** `count` at most. Throws `unexpected_answer` or `invalid_proof` when the answers do not fit together. */
export async function readNewestEntries(
  transport: Transport,
  {
    count,
    onProgress,
    ...bounds
  }: RequestBounds & {
    readonly count: number;
    readonly onProgress: (done: number, total: number) => void;
  },
): Promise<NewestEntries> {
  const answers = new Answers(transport);
  const path = '/registry/head';
  const told = await transport.get(path, { ...bounds, maxBytes: MAX_HEAD_BYTES, accept: 'json' });
  const { version: head } = readHead(told.bytes);
  const from = Math.max(0, head - count + 1);
  const entries: EntryBytes[] = [];
  while (entries.length < head - from + 1) {
    const page = await answers.entries(from + entries.length, bounds);
    if (page.length === 0) break;
    entries.push(
      ...page.map(({ bytes }) => wholeBytes(bytes)).slice(0, head - from + 1 - entries.length),
    );
    onProgress(entries.length, head - from + 1);
  }
  const [first] = entries;
  const leafAt = (version: number) => answers.leaf({ version, size: head + 1 }, bounds);
  if (from === 0 || first === undefined) return { entries, before: undefined, leafAt };
  const before = await stateBefore({ transport, answers, first, bounds }, from - 1);
  return { entries, before, leafAt };
}

/** After `version`, which `first` follows. */
async function stateBefore(
  {
    transport,
    answers,
    first,
    bounds,
  }: {
    readonly transport: Transport;
    readonly answers: Answers;
    readonly first: EntryBytes;
    readonly bounds: RequestBounds;
  },
  version: number,
): Promise<Before> {
  const size = version + 1;
  const { leaf, bytes } = await answers.entry(version, bounds);
  const governance = await readGovernanceAt(transport, { version, origin: leaf.origin, bounds });
  const set = SetTree.fromRoot({ root: parseHash(leaf.set_root), size: leaf.set_size });
  // The way up from the last leaf of a tree is the edge of the tree before it.
  const way = await answers.inclusionProof({ version: size, size: size + 1 }, bounds);
  const chain: Chain = {
    origin: leaf.origin,
    registry: registryOf(decodeEntry(first).proposal),
    version,
    entryHash: entryHash(bytes.leaf),
    committedAt: leaf.committed_at,
    governance,
    signerKeys: new Map(governance.signers.map((s) => [s.signer_id, s.public_key])),
    set: treeOf(await answers.set({ version, size: set.size }, bounds), set),
    tree: LogTree.fromEdge({ size, edge: way.toReversed() }),
  };
  return { chain, leaf: bytes.leaf };
}

async function readGovernanceAt(
  transport: Transport,
  {
    version,
    origin,
    bounds,
  }: { readonly version: number; readonly origin: string; readonly bounds: RequestBounds },
): Promise<Governance> {
  const path = `/registry/${version}/governance`;
  const options = { ...bounds, maxBytes: MAX_GOVERNANCE_BYTES, accept: 'json' } as const;
  const { bytes } = await transport.get(path, options);
  const object = new Check('unexpected_answer').object(parseJsonBytes(bytes), '');
  return readGovernance(object.governance, '/governance', origin);
}

/** As long as a payload may be. */
const MAX_GOVERNANCE_BYTES = 2 * 1024 * 1024;
