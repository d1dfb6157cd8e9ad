/** Latencies, recorded in an HDR histogram of microseconds, and what is told of them. */
import { createHistogram } from 'node:perf_hooks';

/** Whole microseconds; percentiles to three figures. */
export interface Latency {
  readonly count: number;
  readonly min: number;
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly p99_9: number;
  readonly max: number;
  readonly mean: number;
  /** Ascending, without the empty ones at both ends. */
  readonly buckets: readonly Bucket[];
}

export interface Bucket {
  /** Microseconds, inclusive; `null`: no bound. */
  readonly up_to: number | null;
  readonly count: number;
}

/** Six a decade, from 10 microseconds to 100 seconds. */
const BOUNDS: readonly number[] = [10, 100, 1e3, 1e4, 1e5, 1e6, 1e7].flatMap((decade) =>
  [1, 1.5, 2, 3, 5, 7].map((step) => Math.round(decade * step)),
);

export class LatencyRecorder {
  readonly #histogram = createHistogram({ lowest: 1, highest: 3_600_000_000, figures: 3 });
  readonly #buckets = new Array<number>(BOUNDS.length + 1).fill(0);
  #min = Number.POSITIVE_INFINITY;
  #max = 0;
  #sum = 0;
  #count = 0;

  /** A microsecond is the least that is told. */
  record(ms: number): void {
    const us = Math.max(1, Math.round(ms * 1000));
    this.#histogram.record(us);
    this.#count++;
    this.#sum += us;
    this.#min = Math.min(this.#min, us);
    this.#max = Math.max(this.#max, us);
    const place = bucketOf(us);
    this.#buckets[place] = (this.#buckets[place] ?? 0) + 1;
  }

  /** `null` when nothing was recorded. */
  get latency(): Latency | null {
    if (this.#count === 0) return null;
    // Of a thousand, so that the product is exact.
    const at = (share: number) => this.#atRank(Math.ceil((share * this.#count) / 1000));
    return {
      count: this.#count,
      min: this.#min,
      p50: at(500),
      p90: at(900),
      p95: at(950),
      p99: at(990),
      p99_9: at(999),
      max: this.#max,
      mean: Math.round(this.#sum / this.#count),
      buckets: this.#filled(),
    };
  }

  /** Of the sorted values. By its share, for the histogram rounds a percentile to the nearest rank, up or down. */
  #atRank(rank: number): number {
    const value = this.#histogram.percentile((100 * rank) / this.#count);
    // It answers the upper end of a cell, which nothing may have reached.
    return Math.min(this.#max, Math.max(this.#min, value));
  }

  #filled(): readonly Bucket[] {
    const first = this.#buckets.findIndex((count) => count > 0);
    const last = this.#buckets.findLastIndex((count) => count > 0);
    return this.#buckets
      .slice(first, last + 1)
      .map((count, i) => ({ up_to: BOUNDS[first + i] ?? null, count }));
  }
}

/** The first whose bound is not below; by halves, for this runs once for every request. */
function bucketOf(us: number): number {
  let low = 0;
  let high = BOUNDS.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((BOUNDS[middle] ?? 0) < us) low = middle + 1;
    else high = middle;
  }
  return low;
}
