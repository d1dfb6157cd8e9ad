/**
 * How far something is, with its pace, on standard error: at a terminal a bar, redrawn in place at most ten times a
 * second; elsewhere, in a log, a line every few seconds of what takes longer.
 */
import type { Output } from './io.ts';

export interface Progress {
  show(done: number, total: number): void;
  /** Wipes a bar, so that what is printed next stands on an empty line. */
  end(): Promise<void>;
}

const WIDTH = 30;
const INTERVAL_MS = 100;
const LINE_INTERVAL_MS = 5_000;

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
  const { isTerminal } = output;
  let drawnAt: number | undefined;
  let began: { readonly at: number; readonly done: number } | undefined;
  // Drawn in order, but nobody waits for a bar: only `end` does.
  let drawing = Promise.resolve();
  const draw = (text: string) => {
    drawing = drawing.then(() => output.write(text));
  };
  return {
    show: (done, total) => {
      if (!isShown) return;
      const at = now();
      began ??= { at, done };
      // What is over soon needs no line.
      const last = drawnAt ?? (isTerminal ? undefined : began.at);
      if (last !== undefined && at - last < (isTerminal ? INTERVAL_MS : LINE_INTERVAL_MS)) return;
      drawnAt = at;
      const text = `${label} ${done}/${total}${pace(began, done, at)}`;
      draw(isTerminal ? `\r${bar(done, total)} ${text}\x1b[K` : `${text}\n`);
    },
    end: async () => {
      if (isTerminal && drawnAt !== undefined) draw('\r\x1b[K');
      drawnAt = undefined;
      began = undefined;
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
