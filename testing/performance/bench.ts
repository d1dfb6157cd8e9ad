/**
 * Rounds: a bench measures all its things and their references once a round, in turns; what comes out is
 * repeated until it is steady enough to be judged, up to a bound, with fresh servers in between.
 */
import { assertComparable, type Figure, figuresOf, type Sample } from './figure.ts';
import { isTooNoisy } from './gate.ts';
import { Neighbours } from './neighbours.ts';

export interface Bench extends AsyncDisposable {
  /** Of the servers that run from before a round to after it. */
  readonly pids: readonly number[];
  /** Figures of the same names each time. */
  round(): Promise<readonly Sample[]>;
}

export interface BenchPlan {
  readonly name: string;
  /** Starts what it needs, warm. */
  readonly open: () => Promise<Bench>;
  readonly rounds: number;
  /** When noise is too large. */
  readonly maxRounds: number;
  /** Default: what `Neighbours` sees. */
  readonly watchNeighbours?: (pids: readonly number[]) => Pick<Neighbours, 'share'>;
  /** After so many, everything is started anew: identical programs differ by more than rounds do. */
  readonly roundsPerStart: number;
}

export interface Progress {
  readonly name: string;
  readonly round: number;
  /** The share of the machine that others had. */
  readonly others: number;
  /** `false`: it is repeated, for others had too much. */
  readonly isKept: boolean;
}

export interface BenchWatch {
  readonly onRound: (progress: Progress) => void;
  /** A round that failed; it is repeated with everything started anew. */
  readonly onBroken: (broken: { readonly name: string; readonly error: unknown }) => void;
  /** The share of the machine from which on a round is thrown away and repeated. */
  readonly maxOthers?: number;
}

/** Of a command line; throws unless it is a share. */
export function parseShare(text: string): number {
  const share = Number(text);
  if (text.trim() === '' || !(share >= 0 && share <= 1))
    throw new Error(`expected a share from 0 to 1, got ${text}`);
  return share;
}

/** A disk that hangs for seconds breaks a round; more than so many are no accident. */
const MAX_BROKEN = 2;

/** Others may have so much of the machine in a round, unless a run was told otherwise. */
export const MAX_OTHERS = 0.05;

interface Round {
  readonly samples: readonly Sample[];
  /** The share of the machine that others had. */
  readonly others: number;
  readonly isQuiet: boolean;
}

/** Throws what the round after the last broken one that is allowed throws. */
export async function runBench(
  plan: BenchPlan,
  { onRound, onBroken, maxOthers = MAX_OTHERS }: BenchWatch,
): Promise<readonly Figure[]> {
  const { name, roundsPerStart } = plan;
  const rounds: Round[] = [];
  let broken = 0;
  while (!isDone(plan, rounds)) {
    try {
      await using bench = await plan.open();
      for (let i = 0; i < roundsPerStart && !isDone(plan, rounds); i++) {
        const neighbours = plan.watchNeighbours?.(bench.pids) ?? new Neighbours(bench.pids);
        const samples = await bench.round();
        assertComparable(samples);
        const others = neighbours.share();
        const isQuiet = others <= maxOthers;
        rounds.push({ samples, others, isQuiet });
        onRound({ name, round: rounds.length, others, isKept: isQuiet });
      }
    } catch (error) {
      if (++broken > MAX_BROKEN) throw error;
      onBroken({ name, error });
    }
  }
  return figuresOfRounds(plan, rounds);
}

/** Enough quiet rounds that are steady, or as many as the bounds allow. */
function isDone({ rounds: wanted, maxRounds }: BenchPlan, rounds: readonly Round[]): boolean {
  const quiet = rounds.filter(({ isQuiet }) => isQuiet);
  if (quiet.length >= maxRounds || rounds.length >= maxRounds * 2) return true;
  if (quiet.length < wanted) return false;
  return !figuresOf(quiet.flatMap(({ samples }) => samples)).some(isTooNoisy);
}

/** Of the quiet rounds; where there were too few, with the least disturbed of the others, and so marked. */
function figuresOfRounds(
  { rounds: wanted }: BenchPlan,
  rounds: readonly Round[],
): readonly Figure[] {
  const quiet = rounds.filter(({ isQuiet }) => isQuiet);
  const others = rounds.filter(({ isQuiet }) => !isQuiet).toSorted((a, b) => a.others - b.others);
  const disturbed = others.slice(0, Math.max(0, wanted - quiet.length));
  const samples = [...quiet, ...disturbed].flatMap((round) => round.samples);
  return figuresOf(samples).map((figure) => ({
    ...figure,
    thrownAway: others.length - disturbed.length,
    disturbed: disturbed.length,
  }));
}

export function formatProgress({ name, round, others, isKept }: Progress): string {
  const share = `others had ${(others * 100).toFixed(0)} % of the machine`;
  return `${name}, round ${round}: ${share}${isKept ? '' : ', to be repeated'}`;
}
