/**
 * What uploads leave free on the disk. What one may write counts from when it is allowed: several at once cannot
 * take together what each alone would have been given. The registry's own gate looks every second; they fill a disk in less.
 */
import { statfs } from 'node:fs/promises';
import { RegistryError } from '../../core/error.ts';

/** What was not announced is asked for in steps. */
const STEP_BYTES = 1024 * 1024;
/** So often it is looked whether the disk still has what is allowed: others write to it too. */
const LOOK_EVERY_BYTES = 16 * 1024 * 1024;

export interface BlobDiskParts {
  /** A directory on it. */
  readonly path: string;
  /** Asked at every look: a reload may change it. */
  readonly minFreeBytes: () => number;
}

interface Arriving {
  allowedBytes: number;
  writtenBytes: number;
}

export class BlobDisk {
  readonly #parts: BlobDiskParts;
  readonly #arriving = new Set<Arriving>();

  constructor(parts: BlobDiskParts) {
    this.#parts = parts;
  }

  /** Room for so many bytes, to be given back. Throws `read_only`. */
  async share(declaredBytes: number): Promise<DiskShare> {
    const mine: Arriving = { allowedBytes: 0, writtenBytes: 0 };
    // Among the others before it is allowed anything: none may look in between and not see it.
    this.#arriving.add(mine);
    try {
      await this.#allow(mine, declaredBytes);
    } catch (error) {
      this.#arriving.delete(mine);
      throw error;
    }
    let looked = 0;
    return {
      atLeast: async (bytes) => {
        if (bytes <= mine.allowedBytes && bytes - looked < LOOK_EVERY_BYTES) return;
        looked = bytes;
        const steps = Math.ceil(bytes / STEP_BYTES) * STEP_BYTES;
        await this.#allow(mine, bytes <= mine.allowedBytes ? mine.allowedBytes : steps);
      },
      wrote: (bytes) => {
        mine.writtenBytes = bytes;
      },
      [Symbol.dispose]: () => void this.#arriving.delete(mine),
    };
  }

  /** Nothing is awaited between the look at the others and what this one is allowed. */
  async #allow(one: Arriving, bytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.#parts.path);
    const minFreeBytes = this.#parts.minFreeBytes();
    const free = bavail * bsize - this.#toCome() - (bytes - one.allowedBytes);
    if (free < minFreeBytes)
      throw new RegistryError(
        'read_only',
        `expected ${minFreeBytes} bytes left free on the disk of the data beside the blobs that arrive, got ${Math.max(0, free)}: free some space`,
        { details: { reason: 'disk', min_free_bytes: minFreeBytes } },
      );
    one.allowedBytes = bytes;
  }

  /** Allowed, and not yet on the disk. */
  #toCome(): number {
    let bytes = 0;
    for (const { allowedBytes, writtenBytes } of this.#arriving)
      bytes += Math.max(0, allowedBytes - writtenBytes);
    return bytes;
  }
}

export interface DiskShare extends Disposable {
  /** Throws `read_only`; then it is what it was. */
  atLeast(bytes: number): Promise<void>;
  /** So many of them are on the disk. */
  wrote(bytes: number): void;
}
