/** Entries for store tests: arbitrary small bytes, which a store must not judge. */

import type { Approval } from '../../src/core/approval.ts';
import { blake3Bytes, type Hash, hashOf } from '../../src/core/hash.ts';
import type { PayloadType } from '../../src/core/payload.ts';
import { LogTree } from '../../src/core/tlog/log-tree.ts';
import type { TreeNode } from '../../src/core/tlog/merkle.ts';
import type {
  AppendEntry,
  DescriptorChange,
  Store,
  StoredProposal,
} from '../../src/store/store.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

export function put(id: string, value: string, kind = 'thing'): DescriptorChange {
  const bytes = bytesOf(`${kind}/${id}=${value}`);
  return { kind, id, bytes, valueHash: blake3Bytes(bytes) };
}

export function remove(id: string, kind = 'thing'): DescriptorChange {
  return { kind, id, bytes: null, valueHash: null };
}

interface EntryParts {
  readonly changes?: readonly DescriptorChange[];
  readonly type?: PayloadType;
  readonly payload?: Uint8Array;
  readonly nodes?: readonly TreeNode[];
  readonly erases?: number;
}

/** The leaf of every entry with this version, whatever else is in it. */
export function leafAt(version: number): Uint8Array {
  return bytesOf(`leaf ${version}`);
}

const completed: (readonly TreeNode[])[] = [];
let tree = LogTree.EMPTY;

/** The nodes that the leaf of a version completes. */
export function nodesAt(version: number): readonly TreeNode[] {
  while (tree.size <= version) {
    const next = tree.with(leafAt(tree.size));
    completed.push(next.nodes);
    tree = next.tree;
  }
  return completed[version] ?? [];
}

/** The payload differs with the version unless it is given. */
export function makeEntry(version: number, parts: EntryParts = {}): AppendEntry {
  const payload = parts.payload ?? bytesOf(`payload ${version}`);
  const leaf = leafAt(version);
  return {
    version,
    leaf,
    payload,
    approvals: bytesOf(`approvals ${version}`),
    entryHash: hashOf(leaf),
    payloadB3: hashOf(payload),
    type: parts.type ?? (version === 0 ? 'genesis' : 'descriptors'),
    expiresAt: '2026-12-21T00:00:00.000Z',
    changes: parts.changes ?? [],
    nodes: parts.nodes ?? nodesAt(version),
    ...(parts.erases !== undefined && { erases: parts.erases }),
  };
}

/** One entry for each list of changes, all in one batch, from version 0. */
export async function appendHistory(
  store: Store,
  history: readonly (readonly DescriptorChange[])[],
): Promise<void> {
  const entries = history.map((changes, version) => makeEntry(version, { changes }));
  const outcome = await store.append({ expected: -1, entries });
  if (outcome.outcome !== 'appended') throw new Error(`expected appended, got ${outcome.outcome}`);
}

export function makeProposal(name: string, approvals: readonly Approval[] = []): StoredProposal {
  const payload = bytesOf(name);
  return {
    payloadB3: hashOf(payload),
    payload,
    receivedAt: '2026-11-21T00:00:00.000Z',
    expiresAt: '2026-12-21T00:00:00.000Z',
    approvals,
  };
}

export function makeApproval(signer: string, sig = 'sig'): Approval {
  return {
    signer_id: `org:test#${signer}`,
    algo: 'ed25519',
    sig,
    signed_at: '2026-11-21T00:00:00.000Z',
  };
}

export function unknownHash(name: string): Hash {
  return hashOf(bytesOf(`unknown ${name}`));
}

/** Everything an async iterable yields, pages joined. */
export async function collect<T>(pages: AsyncIterable<readonly T[]>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const page of pages) all.push(...page);
  return all;
}
