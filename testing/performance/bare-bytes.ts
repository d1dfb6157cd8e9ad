/** What much data costs without a registry: written and synced, or hashed, in 10^6 bytes a second. */
import { randomFillSync } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createHasher } from '../../src/server/fast-hash/hasher.ts';

const PIECE_BYTES = 1024 * 1024;
const PIECES = 256;

export const WRITTEN = '256 MiB written and synced';
export const HASHED = '256 MiB hashed by one thread';

/** One file after the other, in pieces of 1 MiB. */
export async function writtenMbPerSecond(directory: string): Promise<number> {
  const piece = randomFillSync(new Uint8Array(PIECE_BYTES));
  const path = join(directory, 'written');
  const file = await open(path, 'w');
  try {
    return await mbPerSecond(async () => {
      for (let i = 0; i < PIECES; i++) await file.write(piece);
      await file.sync();
    });
  } finally {
    await file.close();
    await rm(path);
  }
}

export function hashedMbPerSecond(): Promise<number> {
  const piece = randomFillSync(new Uint8Array(PIECE_BYTES));
  return mbPerSecond(async () => {
    const hasher = createHasher();
    for (let i = 0; i < PIECES; i++) hasher.update(piece);
    hasher.digest();
  });
}

async function mbPerSecond(act: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await act();
  return (PIECE_BYTES * PIECES) / 1_000 / (performance.now() - began);
}
