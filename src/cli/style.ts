/** Colours where a terminal shows them and nowhere else. */
import { styleText } from 'node:util';
import type { Io, Output } from './io.ts';

export type Tone = 'good' | 'bad' | 'warn' | 'strong' | 'faint';
export type Style = (tone: Tone, text: string) => string;

const FORMATS = {
  good: 'green',
  bad: 'red',
  warn: 'yellow',
  strong: 'bold',
  faint: 'dim',
} as const;

export function createStyle(output: Output, env: Io['env']): Style {
  if (!isColored(output, env)) return (_tone, text) => text;
  return (tone, text) => styleText(FORMATS[tone], text, { validateStream: false });
}

/** As Node itself has it: FORCE_COLOR decides, then NO_COLOR, then the terminal. */
function isColored(output: Output, { FORCE_COLOR, NO_COLOR, TERM }: Io['env']): boolean {
  if (FORCE_COLOR !== undefined) return !['0', 'false'].includes(FORCE_COLOR);
  return output.isTerminal && !NO_COLOR && TERM !== 'dumb';
}
