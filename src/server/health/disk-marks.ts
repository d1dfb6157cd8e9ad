/** How much room a disk has, as three marks with hysteresis. Decides only: who looks at the disk is `disk-gate.ts`. */

/** `soft`: an operator should know. `hard`: nothing is written. */
export type DiskMark = 'fine' | 'soft' | 'hard';

export interface DiskMarks {
  /** Below it is `soft`; 0: nobody is warned. */
  readonly warnBytes: number;
  /** Below it is `hard`. */
  readonly minBytes: number;
}

const MIB = 1024 * 1024;

/** The room at which a mark that was passed is over again: a disk at the edge of it says so once. */
export function endOfMark(markBytes: number): number {
  return markBytes + Math.max(Math.ceil(markBytes / 8), MIB);
}

export function markOf(
  roomBytes: number,
  { warnBytes, minBytes }: DiskMarks,
  last: DiskMark,
): DiskMark {
  if (roomBytes < (last === 'hard' ? endOfMark(minBytes) : minBytes)) return 'hard';
  if (warnBytes === 0) return 'fine';
  return roomBytes < (last === 'fine' ? warnBytes : endOfMark(warnBytes)) ? 'soft' : 'fine';
}

/** What files beside the log leave free: a ballast that was released is free too, and not for them. */
export function reservedBytes({
  minFreeBytes,
  ballastBytes,
}: {
  readonly minFreeBytes: number;
  readonly ballastBytes: number;
}): number {
  return minFreeBytes + ballastBytes;
}
