/** The options that the benchmarks share, and how they are written. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseBytes, parseDuration } from '../../server/config-values.ts';
import { parseCount } from '../arguments.ts';
import type { RunConfig } from './result.ts';

export interface PaceFlags {
  /** Milliseconds. */
  readonly duration: number;
  readonly warmup: number;
  readonly rate?: number;
  readonly connections: number;
}

export function addPaceOptions(command: Command, what: string): Command {
  return command
    .addOption(
      new Option('--duration <time>', 'how long to measure')
        .argParser(parseDurationOption)
        .default(10_000, '10s'),
    )
    .addOption(
      new Option('--warmup <time>', 'how long before that, without counting')
        .argParser(parseTime)
        .default(1_000, '1s'),
    )
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

export function addPutRateOption(command: Command): Command {
  return command.addOption(
    new Option('--put-rate <number>', 'cycles of propose, approve and commit a second')
      .argParser(parseRate)
      .default(5),
  );
}

/** How many jobs are known to be wanted, so that they can be made ahead; in the closed loop `count` or none. */
export function jobsOf({ rate, duration, warmup }: PaceFlags, count: number | undefined): number {
  if (rate === undefined) return count ?? 0;
  const due = Math.ceil(((duration + warmup) * rate) / 1000);
  return Math.min(due, count ?? due);
}

export function paceConfig({ duration, warmup, rate, connections }: PaceFlags): RunConfig {
  return { duration_ms: duration, warmup_ms: warmup, rate: rate ?? null, connections };
}

function parseTime(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('Expected a time such as 10s, 500ms or 2m.');
  return ms;
}

/** An option's parser. */
export function parseDurationOption(text: string): number {
  const ms = parseTime(text);
  if (ms === 0) throw new InvalidArgumentError('Expected a time above 0.');
  return ms;
}

/** More than 0; 0.5 is one in two seconds. */
function parseRate(text: string): number {
  const rate = /^\d{1,7}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (rate === 0) throw new InvalidArgumentError('Expected a number above 0, such as 100 or 0.5.');
  return rate;
}

/** An option's parser. */
export function parseSize(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === undefined) throw new InvalidArgumentError('Expected a size such as 4KiB or 1MiB.');
  return bytes;
}
