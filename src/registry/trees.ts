/**
 * The set's tree at any version. The newest are kept, sharing what did not change; an older one is
 * made by undoing the net difference from the nearest kept one, and must give that version's set root.
 */
import { descriptorPath } from '../core/descriptor.ts';
import type { Hash } from '../core/hash.ts';
import type { Leaf } from '../core/leaf.ts';
import type { SetChange } from '../core/set-rows.ts';
import { SetTree } from '../core/set-tree.ts';
import type { Store } from '../store/store.ts';
import type { RegistryTimers } from './options.ts';
import type { Asker } from './registry.ts';
import type { Retained } from './retained.ts';
import { damaged } from './stored.ts';
import { TreeQueue } from './tree-queue.ts';

const KEPT_RECENT = 64;
const KEPT_OLD = 4;
/** Takes a few milliseconds. */
const UNDONE_AT_ONCE = 1_000;
/** Waiting for each other, so that those under one node are undone together. Bounds what they take of memory. */
const MAX_WAITING = 65_536;

export interface TreesOptions {
  readonly store: Pick<Store, 'diff'>;
  readonly timers: Pick<RegistryTimers, 'soon'>;
  readonly retained: Pick<Retained, 'state' | 'assertKept'>;
  /** Resolves when the tree at the head is remembered, from which others are made. */
  readonly known: () => Promise<void>;
}

export class Trees {
  readonly #options: TreesOptions;
  readonly #recent = new Map<number, SetTree>();
  readonly #old = new Map<number, SetTree>();
  readonly #queue = new TreeQueue((leaf) => this.#build(leaf));

  constructor(options: TreesOptions) {
    this.#options = options;
  }

  remember(version: number, tree: SetTree): void {
    this.#recent.set(version, tree);
    this.#recent.delete(version - KEPT_RECENT);
  }

  /** Throws `overloaded` where too many wait for old ones. */
  async at(leaf: Leaf, asker: Asker): Promise<SetTree> {
    await this.#options.known();
    const kept = this.#recent.get(leaf.version) ?? this.#old.get(leaf.version);
    return kept ?? (await this.#queue.ask(leaf, asker));
  }

  /** Who waits for an old one is refused. */
  drain(): void {
    this.#queue.drain();
  }

  async #build(leaf: Leaf): Promise<SetTree> {
    const [from, nearest] = this.#nearest(leaf.version);
    let tree = nearest;
    let waiting: SetChange[] = [];
    for await (const page of this.#options.store.diff({ from, to: leaf.version })) {
      for (const row of page)
        waiting.push({ path: descriptorPath(row), valueHash: row.after?.valueHash ?? null });
      if (waiting.length < MAX_WAITING) continue;
      tree = await this.#with(tree, waiting);
      waiting = [];
    }
    tree = await this.#with(tree, waiting);
    if (tree.root !== leaf.set_root) return await this.#rebuild(leaf, { from, found: tree.root });
    this.#old.set(leaf.version, tree);
    const [oldest] = this.#old.keys();
    if (this.#old.size > KEPT_OLD && oldest !== undefined) this.#old.delete(oldest);
    return tree;
  }

  /** In the order of paths: changes that follow each other hash the nodes above them once. */
  async #with(before: SetTree, changes: readonly SetChange[]): Promise<SetTree> {
    if (changes.length <= UNDONE_AT_ONCE) return before.with(changes);
    const byFirstByte = Array.from({ length: 256 }, (): SetChange[] => []);
    for (const change of changes) byFirstByte[change.path[0] ?? 0]?.push(change);
    let tree = before;
    let next: SetChange[] = [];
    for (const some of byFirstByte) {
      next = [...next, ...some];
      if (next.length < UNDONE_AT_ONCE) continue;
      tree = tree.with(next);
      next = [];
      await new Promise<void>(this.#options.timers.soon);
    }
    return tree.with(next);
  }

  /** What lay between was pruned meanwhile: once more, from a version that is kept. Otherwise it is damage. */
  async #rebuild(
    leaf: Leaf,
    { from, found }: { readonly from: number; readonly found: Hash },
  ): Promise<SetTree> {
    const { retained } = this.#options;
    retained.assertKept(leaf.version);
    if (from >= 0 && from < retained.state.oldest) return await this.#build(leaf);
    throw damaged(
      `expected the descriptors at version ${leaf.version} to give ${leaf.set_root}, got ${found}`,
    );
  }

  /** The rows that lead away from a pruned version are gone, so no tree is made from its. */
  #nearest(version: number): [number, SetTree] {
    const { oldest } = this.#options.retained.state;
    let best: [number, SetTree] | undefined;
    for (const candidate of [...this.#recent, ...this.#old].filter(([from]) => from >= oldest))
      if (best === undefined || Math.abs(candidate[0] - version) < Math.abs(best[0] - version))
        best = candidate;
    return best ?? [-1, SetTree.EMPTY];
  }
}
