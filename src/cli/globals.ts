/** The options that every command takes, each with the environment variable that stands in for it. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { type Hash, isHash } from '../core/hash.ts';
import { parseDuration } from '../server/config-values.ts';
import { usageError } from './failure.ts';
import type { Io } from './io.ts';

export interface Globals {
  readonly url: string;
  /** The genesis payload hash: which registry is meant. */
  readonly registry: Hash | undefined;
  /** Directory of trusted state. */
  readonly stateDir: string;
  /** A file in C2SP tlog-policy grammar: whose cosignatures a head must have. */
  readonly witnessPolicy: string | undefined;
  /** With a policy: how long ago its witnesses may have seen the head. */
  readonly maxStaleMs: number | undefined;
  /** Whether entries that the registry has pruned are believed by their leaves. */
  readonly isPrunedAccepted: boolean;
  /** Holds the access token that writes bring; `-` is standard input. */
  readonly tokenFile: string | undefined;
  readonly isJson: boolean;
  readonly isQuiet: boolean;
}

interface Given {
  readonly url?: string;
  readonly registry?: Hash;
  readonly state?: string;
  readonly witnessPolicy?: string;
  readonly maxStale?: number;
  readonly acceptPruned?: boolean;
  readonly tokenFile?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const DEFAULT_URL = 'http://127.0.0.1:7070';

export function addGlobals(program: Command): Command {
  return program
    .option('--url <url>', `where the registry answers (QUORATE_URL; ${DEFAULT_URL})`)
    .option(
      '--registry <hash>',
      'pin the registry by its genesis hash, b3:... (QUORATE_REGISTRY)',
      parseHashOption,
    )
    .option('--state <dir>', 'keep trusted state here (QUORATE_STATE; ~/.local/state/quorate)')
    .option(
      '--witness-policy <file>',
      'believe only heads that these witnesses cosigned: a c2sp policy (QUORATE_WITNESS_POLICY)',
    )
    .option(
      '--max-stale <duration>',
      'with it: and that they saw within so long, such as 30s or 10m (QUORATE_MAX_STALE)',
      parseStaleOption,
    )
    .option(
      '--accept-pruned',
      'believe what the registry has pruned by its leaves and its governance, without its approvals',
    )
    .option(
      '--token-file <file>',
      'the access token that writes bring; - is stdin (QUORATE_TOKEN_FILE, or QUORATE_TOKEN with the token itself)',
    )
    .option('--json', 'print JSON: one document, or one for each line of a list')
    .option('--quiet', 'no progress and no remarks on standard error');
}

/** To be asked after the arguments were parsed. */
export function readGlobals(program: Command, env: Io['env']): Globals {
  const given = program.opts<Given>();
  return {
    url: given.url ?? (env.QUORATE_URL || DEFAULT_URL),
    registry: given.registry ?? registryOf(env.QUORATE_REGISTRY || undefined),
    stateDir: given.state ?? (env.QUORATE_STATE || defaultStateDir(env)),
    witnessPolicy: given.witnessPolicy ?? (env.QUORATE_WITNESS_POLICY || undefined),
    maxStaleMs: given.maxStale ?? staleOf(env.QUORATE_MAX_STALE || undefined),
    isPrunedAccepted: given.acceptPruned === true,
    tokenFile: given.tokenFile,
    isJson: given.json === true,
    isQuiet: given.quiet === true,
  };
}

export function parseHashOption(text: string): Hash {
  if (!isHash(text)) throw new InvalidArgumentError('Expected b3: and 64 lower-case hex digits.');
  return text;
}

function parseStaleOption(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('Expected a duration such as 30s or 10m.');
  return ms;
}

function staleOf(text: string | undefined): number | undefined {
  const ms = text === undefined ? undefined : parseDuration(text);
  if (text === undefined || ms !== undefined) return ms;
  throw usageError('expected a duration such as 30s or 10m in QUORATE_MAX_STALE');
}

function registryOf(text: string | undefined): Hash | undefined {
  if (text === undefined || isHash(text)) return text;
  throw usageError('expected b3: and 64 lower-case hex digits in QUORATE_REGISTRY');
}

/** XDG base directories: an empty or relative value is no value. */
function defaultStateDir({ XDG_STATE_HOME: given, HOME }: Io['env']): string {
  const base = given?.startsWith('/') ? given : join(HOME || homedir(), '.local/state');
  return join(base, 'quorate');
}
