/**
 * Where blobs are in the data directory: `blobs/<2 hex>/<64 hex>`, what arrives in `blobs/.incoming`, and what
 * a disk has changed in `blobs/.damaged`. Paths are made of hashes that were read as such, never of what a caller wrote.
 */
import { join } from 'node:path';
import { formatHash, type Hash, isHash, parseHash } from '../../core/hash.ts';

export interface BlobPaths {
  readonly root: string;
  readonly incoming: string;
  readonly damaged: string;
  /** The directories of the blobs, by what their names begin with. */
  readonly shelves: readonly string[];
}

const SHELVES = 256;

export function blobPaths(dataDir: string): BlobPaths {
  const root = join(dataDir, 'blobs');
  const names = Array.from({ length: SHELVES }, (_, i) => i.toString(16).padStart(2, '0'));
  return {
    root,
    incoming: join(root, '.incoming'),
    damaged: join(root, '.damaged'),
    shelves: names.map((name) => join(root, name)),
  };
}

export function blobPath({ root }: Pick<BlobPaths, 'root'>, address: Hash): string {
  const hex = blobName(address);
  return join(root, hex.slice(0, 2), hex);
}

/** Of its file. */
export function blobName(address: Hash): string {
  return formatHash(parseHash(address)).slice('b3:'.length);
}

/** `undefined`: no blob has this file name. */
export function blobAddress(name: string): Hash | undefined {
  const address = `b3:${name}`;
  return isHash(address) ? address : undefined;
}
