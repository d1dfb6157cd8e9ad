/**
 * The set's tree at any version. The newest are kept, sharing what did not change; an older one is
 * made by undoing the net difference from the nearest kept one, and must give that version's set root.
 */
import { descriptorPath } from '../core/descriptor.ts';
import type { Hash } from '../core/hash.ts';
import type { Leaf } from '../core/leaf.ts';
import { SetTree } from '../core/set-tree.ts';
import type { Store } from '../store/store.ts';
import type { Retained } from './retained.ts';
import { damaged } from './stored.ts';

const KEPT_RECENT = 64;
const KEPT_OLD = 4;

export class Trees {
  readonly #store: Pick<Store, 'diff'>;
  readonly #retained: Pick<Retained, 'state' | 'assertKept'>;
  readonly #recent = new Map<number, SetTree>();
  readonly #old = new Map<number, SetTree>();
  #building: Promise<unknown> = Promise.resolve();

  constructor(store: Pick<Store, 'diff'>, retained: Pick<Retained, 'state' | 'assertKept'>) {
    this.#store = store;
    this.#retained = retained;
  }

  remember(version: number, tree: SetTree): void {
    this.#recent.set(version, tree);
    this.#recent.delete(version - KEPT_RECENT);
  }

  /** One old tree is built at a time, whoever asks: their cost is bounded, not multiplied. */
  async at(leaf: Leaf): Promise<SetTree> {
    const kept = this.#kept(leaf.version);
    if (kept !== undefined) return kept;
    const built = this.#building.then(() => this.#kept(leaf.version) ?? this.#build(leaf));
    this.#building = built.catch(() => undefined);
    return built;
  }

  #kept(version: number): SetTree | undefined {
    return this.#recent.get(version) ?? this.#old.get(version);
  }

  async #build(leaf: Leaf): Promise<SetTree> {
    const [from, nearest] = this.#nearest(leaf.version);
    let tree = nearest;
    for await (const page of this.#store.diff({ from, to: leaf.version }))
      tree = tree.with(
        page.map((row) => ({ path: descriptorPath(row), valueHash: row.after?.valueHash ?? null })),
      );
    if (tree.root !== leaf.set_root) return await this.#rebuild(leaf, { from, found: tree.root });
    this.#old.set(leaf.version, tree);
    const [oldest] = this.#old.keys();
    if (this.#old.size > KEPT_OLD && oldest !== undefined) this.#old.delete(oldest);
    return tree;
  }

  /** What lay between was pruned meanwhile: once more, from a version that is kept. Otherwise it is damage. */
  async #rebuild(
    leaf: Leaf,
    { from, found }: { readonly from: number; readonly found: Hash },
  ): Promise<SetTree> {
    this.#retained.assertKept(leaf.version);
    if (from >= 0 && from < this.#retained.state.oldest) return await this.#build(leaf);
    throw damaged(
      `expected the descriptors at version ${leaf.version} to give ${leaf.set_root}, got ${found}`,
    );
  }

  /** The rows that lead away from a pruned version are gone, so no tree is made from its. */
  #nearest(version: number): [number, SetTree] {
    const { oldest } = this.#retained.state;
    let best: [number, SetTree] | undefined;
    for (const candidate of [...this.#recent, ...this.#old].filter(([from]) => from >= oldest))
      if (best === undefined || Math.abs(candidate[0] - version) < Math.abs(best[0] - version))
        best = candidate;
    return best ?? [-1, SetTree.EMPTY];
  }
}
