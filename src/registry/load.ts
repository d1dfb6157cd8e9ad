/**
 * From a store to a chain the sequencer can append to: the governance chain is walked, the set is
 * rebuilt from its rows and must give the head's set root. The log itself is walked by `scrub`.
 */

import { isEqualBytes } from '../core/bytes.ts';
import type { Chain } from '../core/chain.ts';
import { descriptorPath, descriptorValueHash } from '../core/descriptor.ts';
import { RegistryError } from '../core/error.ts';
import { assertSuccession, type Governance, type SignerKeys } from '../core/governance.ts';
import { type Hash, parseHash } from '../core/hash.ts';
import type { Leaf } from '../core/leaf.ts';
import { withNamedSigners } from '../core/rules.ts';
import { SetRows } from '../core/set-rows.ts';
import { SetTree } from '../core/set-tree.ts';
import type { Store, StoredDescriptor } from '../store/store.ts';
import { loadTree } from './log-nodes.ts';
import { assertPinned, type Pins } from './pins.ts';
import { assertStoredEntry, damaged, storedPayload } from './stored.ts';

/** A governance and the version from which, after that entry, it is in force. */
export interface GovernanceSpan {
  readonly from: number;
  readonly governance: Governance;
}

export interface Loaded {
  readonly chain: Chain;
  readonly headLeaf: Leaf;
  readonly governances: readonly GovernanceSpan[];
}

/** What of a store a chain is loaded from. */
export type ChainStore = Pick<Store, 'head' | 'governanceEntries' | 'set' | 'nodes'>;

/** `undefined` for an empty store. Throws `storage_damaged` or `storage_foreign`. */
export async function loadChain(store: ChainStore, pins: Pins = {}): Promise<Loaded | undefined> {
  const loaded = await loadLog(store, pins);
  return loaded && (await withSet(store, loaded));
}

/** Throws `storage_damaged`. */
export async function withSet(store: ChainStore, loaded: Loaded): Promise<Loaded> {
  const set = await makeSet(await readSetRows(store, loaded.headLeaf), loaded.headLeaf);
  return { ...loaded, chain: { ...loaded.chain, set } };
}

/** As `loadChain`, the set known by its root alone. */
export async function loadLog(
  store: Omit<ChainStore, 'set'>,
  pins: Pins = {},
): Promise<Loaded | undefined> {
  const head = await store.head();
  if (head === undefined) return undefined;
  const leaf = assertStoredEntry(head);
  const { registry, governances, signerKeys } = await loadGovernance(store);
  assertPinned({ origin: leaf.origin, registry }, { pins, code: 'storage_foreign' });
  const governance = governances.at(-1)?.governance;
  if (governance === undefined) throw damaged('expected a genesis at version 0, got none');
  const chain: Chain = {
    origin: leaf.origin,
    registry,
    version: leaf.version,
    entryHash: head.entryHash,
    committedAt: leaf.committed_at,
    governance,
    signerKeys,
    set: SetTree.fromRoot({ root: parseHash(leaf.set_root), size: leaf.set_size }),
    tree: await loadTree(store, leaf.version + 1),
  };
  return { chain, headLeaf: leaf, governances };
}

/** Throws `storage_damaged` unless the row's bytes are what its value hash says. */
export function assertDescriptor(row: StoredDescriptor): void {
  if (!isEqualBytes(descriptorValueHash(row.bytes), row.valueHash))
    throw damaged(
      `expected ${row.kind}/${row.id} of version ${row.setVersion} to hash to its value hash, got other bytes`,
    );
}

/** The governance chain, from genesis on. Throws `storage_damaged`. */
export async function loadGovernance(
  store: Pick<Store, 'governanceEntries'>,
): Promise<{ registry: Hash; governances: GovernanceSpan[]; signerKeys: SignerKeys }> {
  const governances: GovernanceSpan[] = [];
  let signerKeys: SignerKeys = new Map();
  let registry: Hash | undefined;
  for (const entry of await store.governanceEntries()) {
    const leaf = assertStoredEntry(entry);
    const { payload } = storedPayload(entry);
    if (!('governance' in payload))
      throw damaged(`expected governance at version ${leaf.version}, got ${payload.type}`);
    assertSuccession(governances.at(-1)?.governance ?? null, payload.governance, signerKeys);
    governances.push({ from: leaf.version, governance: payload.governance });
    signerKeys = withNamedSigners(signerKeys, payload);
    registry ??= leaf.payload_b3;
  }
  if (registry === undefined || governances[0]?.from !== 0)
    throw damaged('expected a genesis at version 0, got none');
  return { registry, governances, signerKeys };
}

/** Rows that take a few milliseconds. */
const ROWS_AT_ONCE = 128;

/** For who reads the set at the head elsewhere. */
export interface SetRead {
  /** How many descriptors there will probably be. */
  readonly size: number;
  readonly signal: AbortSignal;
  /** How many were read so far. */
  readonly onProgress: (read: number) => void;
}

/**
 * What `SetRows` has of the set after `leaf`: each value hash is that of the value's bytes, and nothing more is
 * known. `pause`: called between steps with how many were read. Throws `storage_damaged`, or what `pause` throws.
 */
export async function readSetRows(
  store: Pick<Store, 'set'>,
  { version, set_size }: Leaf,
  pause?: (read: number) => Promise<void>,
): Promise<Uint8Array> {
  const rows = new SetRows(set_size);
  for await (const page of store.set(version))
    for (const row of page) {
      assertDescriptor(row);
      rows.add(descriptorPath(row), row.valueHash);
      if (rows.count % ROWS_AT_ONCE === 0) await pause?.(rows.count);
    }
  return rows.bytes;
}

/** The set after `leaf`, of its rows, which it keeps. `pause`: called between steps. Throws like `readSetRows`. */
export async function makeSet(
  rows: Uint8Array,
  { version, set_root, set_size }: Pick<Leaf, 'version' | 'set_root' | 'set_size'>,
  pause?: () => Promise<void>,
): Promise<SetTree> {
  const making = SetTree.inSteps(rows, ROWS_AT_ONCE);
  const step = () => {
    try {
      return making.next();
    } catch (cause) {
      if (!(cause instanceof RegistryError)) throw cause;
      throw damaged(`expected each descriptor at version ${version} once, got one twice`, cause);
    }
  };
  let made = step();
  for (; made.done !== true; made = step()) await pause?.();
  const set = made.value;
  if (set.root !== set_root || set.size !== set_size)
    throw damaged(
      `expected the descriptors at version ${version} to give ${set_root}, got ${set.root}`,
    );
  return set;
}
