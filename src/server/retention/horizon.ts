/** How far a retention policy reaches: the lowest version that is to be kept whole. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Reader } from '../../registry/registry.ts';

export interface RetentionPolicy {
  /** 0: none is pruned for its age. */
  readonly ageMs: number;
  /** Kept, the newest; 0: all. */
  readonly entries: number;
  /** Of payloads, kept; 0: all. */
  readonly bytes: number;
}

export interface HorizonOptions {
  readonly reader: Pick<Reader, 'leaves'>;
  /** The newest version. */
  readonly head: number;
  /** The lowest version that is whole now: nothing below is looked at. */
  readonly oldest: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export function isBounded({ ageMs, entries, bytes }: RetentionPolicy): boolean {
  return ageMs > 0 || entries > 0 || bytes > 0;
}

/** From `oldest` up to the head, which is always kept. What any of the bounds prunes is pruned. */
export async function horizonOf(policy: RetentionPolicy, options: HorizonOptions): Promise<number> {
  const { head, oldest } = options;
  const byCount = policy.entries > 0 ? head + 1 - policy.entries : 0;
  const byAge = policy.ageMs > 0 ? await firstAfter(options.now - policy.ageMs, options) : 0;
  const bySize = policy.bytes > 0 ? await firstWithin(policy.bytes, options) : 0;
  return Math.min(head, Math.max(oldest, byCount, byAge, bySize));
}

/** The first version committed at `time` or later; times never go backwards. The head if none was. */
async function firstAfter(time: number, { reader, head, oldest }: HorizonOptions): Promise<number> {
  let [low, high] = [oldest, head];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [named] = await reader.leaves({ from: middle, limit: 1 });
    if (named !== undefined && Date.parse(named.leaf.committed_at) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Leaves are read on the thread that serves: a turn for others after so many. */
const LEAVES_AT_ONCE = 64;

/** The lowest version from which on all payloads together fit. Costs as many leaves as are kept. */
async function firstWithin(
  bytes: number,
  { reader, head, oldest }: HorizonOptions,
): Promise<number> {
  let sum = 0;
  for (let end = head + 1; end > oldest; ) {
    const from = Math.max(oldest, end - LEAVES_AT_ONCE);
    const page = await reader.leaves({ from, limit: end - from });
    for (const { leaf } of page.toReversed()) {
      sum += leaf.payload_bytes;
      if (sum > bytes) return leaf.version + 1;
    }
    await nextTurn();
    end = from;
  }
  return oldest;
}
