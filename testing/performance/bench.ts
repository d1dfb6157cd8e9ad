/**
 * Rounds: a bench measures all its things and their references once a round, in turns; what comes out is
 * repeated until it is steady enough to be judged, up to a bound, with fresh servers in between.
 */
import { type Figure, figuresOf, type Sample } from './figure.ts';
import { isTooNoisy } from './gate.ts';

export interface Bench extends AsyncDisposable {
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
  /** After so many, everything is started anew: identical programs differ by more than rounds do. */
  readonly roundsPerStart: number;
}

export interface BenchWatch {
  readonly onRound: (progress: { readonly name: string; readonly round: number }) => void;
  /** A round that failed; it is repeated with everything started anew. */
  readonly onBroken: (broken: { readonly name: string; readonly error: unknown }) => void;
}

/** A disk that hangs for seconds breaks a round; more than so many are no accident. */
const MAX_BROKEN = 2;

/** Throws what the round after the last broken one that is allowed throws. */
export async function runBench(
  plan: BenchPlan,
  { onRound, onBroken }: BenchWatch,
): Promise<readonly Figure[]> {
  const { name, rounds, maxRounds, roundsPerStart } = plan;
  const samples: Sample[] = [];
  let done = 0;
  let broken = 0;
  const isDone = () =>
    done >= maxRounds || (done >= rounds && !figuresOf(samples).some(isTooNoisy));
  while (!isDone()) {
    try {
      await using bench = await plan.open();
      for (let i = 0; i < roundsPerStart && !isDone(); i++) {
        samples.push(...(await bench.round()));
        done++;
        onRound({ name, round: done });
      }
    } catch (error) {
      if (++broken > MAX_BROKEN) throw error;
      onBroken({ name, error });
    }
  }
  return figuresOf(samples);
}
