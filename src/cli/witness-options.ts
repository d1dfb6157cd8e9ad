/** What a command demands of a checkpoint's witnesses: a policy file, and how old their word may be. */
import { type Command, InvalidArgumentError } from 'commander';
import { RegistryError } from '../core/error.ts';
import { formatTime, isTime, SKEW_MS } from '../core/time.ts';
import type { NoteVerifier, SignedCheckpoint } from '../core/tlog/note-signatures.ts';
import { parsePolicy } from '../core/tlog/policy.ts';
import { assertWitnessed, type Witnessed } from '../core/tlog/witnessed.ts';
import type { Context } from './context.ts';
import { parseLifetime } from './draft.ts';
import { usageError } from './failure.ts';
import { readInput } from './files.ts';

export interface WitnessOptions {
  readonly policy?: string;
  /** Milliseconds since 1970. */
  readonly at?: number;
  readonly maxAge?: number;
}

const DAY_MS = 86_400_000;

export function addWitnessOptions(command: Command): Command {
  return command
    .option('--policy <file>', 'demand cosignatures by this c2sp policy; default: --witness-policy')
    .option(
      '--at <time>',
      'demand that they are no older than --max-age at this time, such as 2026-11-21T09:30:00.000Z, or now',
      parseAt,
    )
    .option('--max-age <time>', 'with --at: such as 10m or 1d (default: 1d)', parseLifetime);
}

/** `undefined` without a policy. Throws what `assertWitnessed` throws, and `stale`. */
export async function witnessedBy(
  { io, globals }: Pick<Context, 'io' | 'globals'>,
  checkpoint: SignedCheckpoint,
  {
    options: { policy = globals.witnessPolicy, at, maxAge = DAY_MS },
    verifier,
  }: { readonly options: WitnessOptions; readonly verifier: NoteVerifier },
): Promise<Witnessed | undefined> {
  if (policy === undefined) {
    if (at !== undefined)
      throw usageError('expected --policy beside --at: witnesses tell the time');
    return undefined;
  }
  const witnessed = await assertWitnessed(
    checkpoint,
    parsePolicy(await readInput(io, policy)),
    verifier,
  );
  if (at !== undefined) assertAge(witnessed, { at: Number.isNaN(at) ? io.now() : at, maxAge });
  return witnessed;
}

function assertAge(
  { time }: Witnessed,
  { at, maxAge }: { readonly at: number; readonly maxAge: number },
): void {
  const seen = (time ?? 0) * 1000;
  const got = time === null ? 'no time' : formatTime(seen);
  if (seen < at - maxAge)
    throw new RegistryError(
      'stale',
      `expected a quorum of witnesses from ${formatTime(at - maxAge)} on, got ${got}`,
    );
  if (seen > at + SKEW_MS)
    throw new RegistryError(
      'invalid_checkpoint',
      `expected a quorum of witnesses from before ${formatTime(at)}, got ${got}`,
    );
}

/** `now`: not a number, until the command asks its clock. */
function parseAt(text: string): number {
  if (text === 'now') return Number.NaN;
  if (!isTime(text))
    throw new InvalidArgumentError('Expected a time such as 2026-11-21T09:30:00.000Z, or now.');
  return Date.parse(text);
}
