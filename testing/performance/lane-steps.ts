/** How long the steps of a server's commit lane took, as `lane-clock.ts` prints it in there. */
import { join } from 'node:path';

/** What makes a server print it. */
export const LANE_FLAGS = ['--import', join(import.meta.dirname, 'lane-clock.ts')];

export const KINDS = ['batch', 'prune', 'fold', 'catch-up', 'compact', 'cut', 'wipe'] as const;
/** `batch`: one transaction of writes; `prune`: one with a step of a pruning in it; `cut`: of what a long log left. */
export type StepKind = (typeof KINDS)[number];

export interface LaneStep {
  readonly kind: StepKind;
  readonly ms: number;
  /** Of them: the thread could run and had no core, for others had them. 0 where the kernel does not tell. */
  readonly corelessMs: number;
  /** `false`: what was erased is still to be overwritten. */
  readonly isWiped: boolean;
}

const PREFIX = 'lane';

export function formatStep({ kind, ms, corelessMs, isWiped }: LaneStep): string {
  return `${PREFIX} ${kind} ${ms} ${corelessMs} ${isWiped ? 'wiped' : 'wiping'}`;
}

/** `undefined`: the line says something else. */
export function parseStep(line: string): LaneStep | undefined {
  const [prefix, name, ms, coreless, wiped] = line.split(' ');
  const kind = KINDS.find((one) => one === name);
  if (prefix !== PREFIX || kind === undefined) return undefined;
  return { kind, ms: Number(ms), corelessMs: Number(coreless), isWiped: wiped === 'wiped' };
}

/** Those of one window after the other. */
export class LaneSteps {
  #steps: LaneStep[] = [];
  #onStep: (step: LaneStep) => void = () => undefined;

  /** Whatever a server prints. */
  readonly take = (line: string): void => {
    const step = parseStep(line);
    if (step === undefined) return;
    this.#steps.push(step);
    this.#onStep(step);
  };

  /** Since this was called last. */
  since(): readonly LaneStep[] {
    const steps = this.#steps;
    this.#steps = [];
    return steps;
  }

  /** The first that is so from now on. Rejects after `deadlineMs`. */
  async first(isWanted: (step: LaneStep) => boolean, deadlineMs: number): Promise<void> {
    const overdue = AbortSignal.timeout(deadlineMs);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#onStep = (step) => {
          if (isWanted(step)) resolve();
        };
        overdue.onabort = () =>
          reject(new Error(`expected a step of the lane within ${deadlineMs} ms, got none such`));
      });
    } finally {
      this.#onStep = () => undefined;
    }
  }
}
