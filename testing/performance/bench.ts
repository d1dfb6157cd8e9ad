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

export async function runBench(
  { name, open, rounds, maxRounds, roundsPerStart }: BenchPlan,
  onRound: (progress: { name: string; round: number }) => void,
): Promise<readonly Figure[]> {
  const samples: Sample[] = [];
  let done = 0;
  const isSteady = () => done >= rounds && !figuresOf(samples).some(isTooNoisy);
  while (done < maxRounds && !isSteady()) {
    await using bench = await open();
    for (let i = 0; i < roundsPerStart && done < maxRounds && !isSteady(); i++) {
      samples.push(...(await bench.round()));
      done++;
      onRound({ name, round: done });
    }
  }
  return figuresOf(samples);
}
