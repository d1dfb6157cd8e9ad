/** What a token is bound to, as options of the commands that bind it. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Hash } from '../core/hash.ts';
import { parseDuration } from '../server/config-values.ts';
import { type Caveat, SCOPES } from '../server/tokens/datalog.ts';
import { MAX_LIFETIME_SECONDS } from '../server/tokens/token.ts';
import { parseHashOption } from './globals.ts';

type Scope = (typeof SCOPES)[number];

export interface TokenOptions {
  readonly scope?: readonly Scope[];
  readonly kind?: readonly string[];
  readonly idPrefix?: string;
  readonly proposal?: readonly Hash[];
  /** Seconds. */
  readonly ttl?: number;
}

export function addTokenOptions(command: Command): Command {
  return command
    .addOption(new Option('--scope <scope...>', 'what it is for').choices(SCOPES))
    .option('--kind <kind...>', 'for payloads that change descriptors of these kinds alone')
    .option('--id-prefix <text>', 'for payloads that change only ids that begin so')
    .option('--proposal <id...>', 'for these proposals alone', collectHash)
    .option('--ttl <duration>', 'valid for so long from now, such as 15m or 24h', parseTtl);
}

/** The scopes and the expiry apart: a new token says them in facts, an attenuation in checks. */
export function boundsOf({ kind, idPrefix, proposal }: TokenOptions): readonly Caveat[] {
  return [
    ...(kind === undefined ? [] : [{ kinds: kind }]),
    ...(idPrefix === undefined ? [] : [{ idPrefix }]),
    ...(proposal === undefined ? [] : [{ proposals: proposal }]),
  ];
}

function collectHash(text: string, before: readonly Hash[] = []): readonly Hash[] {
  return [...before, parseHashOption(text)];
}

function parseTtl(text: string): number {
  const seconds = Math.floor((parseDuration(text) ?? 0) / 1000);
  if (seconds < 1 || seconds > MAX_LIFETIME_SECONDS)
    throw new InvalidArgumentError('Expected a duration from 1s to 720h.');
  return seconds;
}
