/** The options that the benchmarks share, and how they are written. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseBytes, parseDuration } from '../../server/config-values.ts';
import { parseCount } from '../arguments.ts';

export interface PaceFlags {
  /** Milliseconds. */
  readonly duration: number;
  readonly warmup: number;
  readonly rate?: number;
  readonly connections: number;
}

export function addPaceOptions(command: Command, what: string): Command {
  return command
    .addOption(durationOption('--duration <time>', 'how long to measure', 10_000, '10s'))
    .addOption(durationOption('--warmup <time>', 'how long before, without counting', 1_000, '1s'))
    .option(
      '--rate <number>',
      `${what} a second, at fixed times whatever is answered; default: each as soon as one is done`,
      parseRate,
    )
    .addOption(
      new Option('--connections <count>', `${what} at once, at most`)
        .argParser(parseCount)
        .default(16),
    );
}

export function durationOption(
  flags: string,
  meaning: string,
  initial: number,
  shown: string,
): Option {
  return new Option(flags, meaning).argParser(parseTime).default(initial, shown);
}

/** An option's parser. */
export function parseTime(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('Expected a time such as 10s, 500ms or 2m.');
  return ms;
}

/** More than 0; half a request a second is one in two seconds. */
export function parseRate(text: string): number {
  const rate = /^\d{1,7}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (rate === 0) throw new InvalidArgumentError('Expected a number above 0, such as 100 or 0.5.');
  return rate;
}

export function parseSize(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === undefined) throw new InvalidArgumentError('Expected a size such as 4KiB or 1MiB.');
  return bytes;
}
