/** A bar with its pace on a terminal's standard error, redrawn in place at most ten times a second. */
import type { Output } from './io.ts';

export interface Progress {
  show(done: number, total: number): void;
  /** Wipes the bar, so that what is printed next stands on an empty line. */
  end(): Promise<void>;
}

const WIDTH = 30;
const INTERVAL_MS = 100;

export function createProgress({
  output,
  label,
  now,
  isShown,
}: {
  readonly output: Output;
  readonly label: string;
  readonly now: () => number;
  readonly isShown: boolean;
}): Progress {
  let drawnAt: number | undefined;
  let began: { readonly at: number; readonly done: number } | undefined;
  // Drawn in order, but nobody waits for a bar: only `end` does.
  let drawing = Promise.resolve();
  const draw = (text: string) => {
    drawing = drawing.then(() => output.write(text));
  };
  return {
    show: (done, total) => {
      if (!isShown || (drawnAt !== undefined && now() - drawnAt < INTERVAL_MS)) return;
      drawnAt = now();
      began ??= { at: drawnAt, done };
      draw(`\r${bar(done, total)} ${label} ${done}/${total}${pace(began, done, drawnAt)}\x1b[K`);
    },
    end: async () => {
      if (drawnAt !== undefined) draw('\r\x1b[K');
      drawnAt = undefined;
      await drawing;
    },
  };
}

/** What is done each second, once there is something to say of it. */
function pace(
  began: { readonly at: number; readonly done: number },
  done: number,
  now: number,
): string {
  const seconds = (now - began.at) / 1000;
  return seconds < 1 ? '' : `, ${Math.round((done - began.done) / seconds)}/s`;
}

function bar(done: number, total: number): string {
  const filled = total === 0 ? WIDTH : Math.round((Math.min(done, total) / total) * WIDTH);
  return `[${'#'.repeat(filled)}${' '.repeat(WIDTH - filled)}]`;
}
