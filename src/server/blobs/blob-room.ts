/**
 * How much the blobs take, and how much of the quota is promised to those that are arriving: several at once
 * cannot take together what each alone would have been given.
 */
import { RegistryError } from '../../core/error.ts';
import type { Metrics } from '../../telemetry/metrics.ts';

export interface BlobRoomParts {
  /** Asked at every use: a reload may change it. */
  readonly quota: () => number;
  readonly metrics: Pick<Metrics, 'blobs'>;
}

export class BlobRoom {
  readonly #parts: BlobRoomParts;
  #bytes = 0;
  #count = 0;
  #promised = 0;

  constructor(parts: BlobRoomParts) {
    this.#parts = parts;
  }

  /** A blob is there now, or (-1) no longer. */
  count(change: 1 | -1, bytes: number): void {
    this.#count += change;
    this.#bytes += change * bytes;
    this.#parts.metrics.blobs({ count: this.#count, bytes: this.#bytes });
  }

  /** To be given back, whatever comes of it. */
  promise(): BlobPromise {
    let promised = 0;
    return {
      atLeast: (bytes) => {
        if (bytes <= promised) return;
        this.#assertRoom(bytes - promised);
        this.#promised += bytes - promised;
        promised = bytes;
      },
      keep: (bytes) => {
        this.#promised -= promised;
        promised = 0;
        this.count(1, bytes);
      },
      [Symbol.dispose]: () => {
        this.#promised -= promised;
        promised = 0;
      },
    };
  }

  #assertRoom(bytes: number): void {
    const quota = this.#parts.quota();
    const left = Math.max(0, quota - this.#bytes - this.#promised);
    if (bytes <= left) return;
    throw new RegistryError(
      'no_room',
      `expected a blob for which the quota of ${quota} bytes has room, got ${bytes} bytes more and room for ${left}: blobs that nothing names are collected in time, or raise blob_quota`,
      { details: { quota_bytes: quota, left_bytes: left } },
    );
  }
}

export interface BlobPromise extends Disposable {
  /** Throws `no_room`; then it is what it was. */
  atLeast(bytes: number): void;
  /** It is a blob of so many bytes now, which are counted once: no longer as promised. */
  keep(bytes: number): void;
}
