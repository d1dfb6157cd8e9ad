/**
 * The tiles above the leaves, computed again: what the walk completes is collected tile by tile, so that
 * each can be compared with the one that is served. Levels of the binary tree between tiles are not
 * served; they are what tiles are computed through.
 */
import { isEqualBytes } from '../core/bytes.ts';
import { RegistryError } from '../core/error.ts';
import type { TreeNode } from '../core/tlog/merkle.ts';
import { formatTileName, TILE_HEIGHT, TILE_WIDTH, type TileName } from '../core/tlog/tiles.ts';

export interface ComputedTile extends TileName {
  readonly level: number;
  /** As many as its width, 32 bytes each. */
  readonly hashes: readonly Uint8Array[];
}

/** Hashes of the newest, not yet full tile of each level from 1 on. */
export type OpenTiles = readonly (readonly Uint8Array[])[];

export class TileLevels {
  readonly #levels: Uint8Array[][];
  #size: number;

  /** `size`: leaves so far. */
  constructor(
    { size, open }: { readonly size: number; readonly open: OpenTiles } = { size: 0, open: [] },
  ) {
    this.#size = size;
    this.#levels = open.map((hashes) => [...hashes]);
  }

  get open(): OpenTiles {
    return this.#levels;
  }

  /** The nodes of the next leaf; answers the tiles that they fill. */
  add(nodes: readonly TreeNode[]): readonly ComputedTile[] {
    const full: ComputedTile[] = [];
    this.#size++;
    for (const { level: height, index, hash } of nodes) {
      const level = height / TILE_HEIGHT;
      if (!Number.isInteger(level) || level === 0) continue;
      const hashes = this.#levels[level - 1] ?? [];
      this.#levels[level - 1] = hashes;
      hashes.push(hash);
      if (hashes.length < TILE_WIDTH) continue;
      full.push({ level, index: Math.floor(index / TILE_WIDTH), width: TILE_WIDTH, hashes });
      this.#levels[level - 1] = [];
    }
    return full;
  }

  /** The partial tiles at the end of the tree. */
  get partial(): readonly ComputedTile[] {
    return this.#levels.flatMap((hashes, i) => {
      const level = i + 1;
      const index = Math.floor(this.#size / TILE_WIDTH ** (level + 1));
      return hashes.length === 0 ? [] : [{ level, index, width: hashes.length, hashes }];
    });
  }
}

/** Tiles of every level, and entry bundles, of a log of `size` leaves. */
export function countTiles(size: number): number {
  let tiles = Math.ceil(size / TILE_WIDTH);
  for (let hashes = size; hashes > 0; hashes = Math.floor(hashes / TILE_WIDTH))
    tiles += Math.ceil(hashes / TILE_WIDTH);
  return tiles;
}

/** Throws `invalid_proof`, naming the tile and the first hash that differs. */
export function assertSameTile(computed: ComputedTile, served: readonly Uint8Array[]): void {
  const at = computed.hashes.findIndex((hash, i) => {
    const other = served[i];
    return other === undefined || !isEqualBytes(hash, other);
  });
  if (at < 0 && served.length === computed.width) return;
  throw new RegistryError(
    'invalid_proof',
    `expected tile ${formatTileName(computed)} as the leaves give it, got another hash at ${at}`,
    { details: { tile: formatTileName(computed), at } },
  );
}
