/** `quorate evidence`: whether a file proves that a log signed two histories; decided without the log. */
import type { Command } from 'commander';
import { decodeTrustedState } from '../../client/trusted-text.ts';
import { escapeText, RegistryError } from '../../core/error.ts';
import {
  decodeEvidence,
  type EvidenceVerdict,
  type ForkEvidence,
  judgeEvidence,
} from '../../core/tlog/evidence.ts';
import { parseLogKeys, parseVerifierKey, type VerifierKey } from '../../core/vkey.ts';
import { createNoteVerifier } from '../../server/note-verifier.ts';
import { trustPath } from '../connect.ts';
import type { Context } from '../context.ts';
import { usageError } from '../failure.ts';
import { readInput } from '../files.ts';
import { table } from '../text.ts';
import { createFileTrust } from '../trust-file.ts';

/** Whose word it is that these are the log's keys. */
type KeySource = 'option' | 'trusted' | 'file';

interface Keys {
  readonly keys: readonly VerifierKey[];
  readonly source: KeySource;
}

const SOURCES: Readonly<Record<KeySource, string>> = {
  option: 'given with --log-key',
  trusted: 'in force in the trusted state of this registry',
  file: 'named in the file itself: whoever wrote it may have made them up; --log-key settles it',
};

export function defineEvidence(command: Command, context: Context): void {
  command
    .command('verify')
    .summary('check evidence of two histories without a network')
    .description(
      'Check whether a file proves that a log signed two histories. Opens no connection; exit code 3 when it proves nothing.',
    )
    .argument('<file>', 'the evidence; - is stdin')
    .option('--log-key <vkey...>', "the log's verifier keys; default: those of the trusted state")
    .action((file: string, options: { logKey?: readonly string[] }) =>
      verifyEvidence(context, file, options.logKey ?? []),
    );
}

async function verifyEvidence(
  context: Context,
  file: string,
  given: readonly string[],
): Promise<void> {
  const evidence = decodeEvidence(await readInput(context.io, file));
  const { keys, source } = await logKeys(context, evidence, given);
  const verdict = await judgeEvidence(evidence, keys, createNoteVerifier());
  if (!verdict.isProven)
    throw new RegistryError(
      'invalid_proof',
      `expected evidence of two histories, got none: ${verdict.reason}`,
      { details: { log_keys: SOURCES[source] } },
    );
  await (context.globals.isJson
    ? context.printJson(verdictJson(evidence, verdict, source))
    : context.print(showVerdict(evidence, verdict, source)));
}

/** The file's own keys come last: nothing vouches for them. */
async function logKeys(
  { globals }: Context,
  { origin, logKeys: named }: ForkEvidence,
  given: readonly string[],
): Promise<Keys> {
  const wrong = given.find(
    (vkey) => (parseVerifierKey(vkey) ?? { type: 'cosigner' }).type === 'cosigner',
  );
  if (wrong !== undefined)
    throw usageError(`expected the verifier key of a log after --log-key, got ${wrong}`);
  if (given.length > 0) return { keys: parseLogKeys(given), source: 'option' };
  const text = await createFileTrust(trustPath(globals)).load();
  const chain = text === undefined ? undefined : decodeTrustedState(text).chain;
  return chain?.origin === origin
    ? { keys: parseLogKeys(chain.governance.log_keys), source: 'trusted' }
    : { keys: parseLogKeys(named), source: 'file' };
}

function showVerdict(
  { origin }: ForkEvidence,
  { reason, sizes, signers }: EvidenceVerdict,
  source: KeySource,
): string {
  const isOwn = source === 'file';
  const lines = [
    `${isOwn ? 'proven of the keys named in the file' : 'proven'}: ${reason}`,
    table([
      ['origin', origin],
      ['older', `${sizes[0]} leaves, signed by ${namesOf(signers[0])}`],
      ['newer', `${sizes[1]} leaves, signed by ${namesOf(signers[1])}`],
      ['log keys', SOURCES[source]],
    ]),
  ];
  return lines.join('\n').split('\n').map(escapeText).join('\n');
}

function verdictJson(
  { origin }: ForkEvidence,
  { reason, sizes, signers }: EvidenceVerdict,
  source: KeySource,
): object {
  const side = (i: 0 | 1) => ({ size: sizes[i], signed_by: signers[i].map(idOf) });
  return { origin, proven: reason, older: side(0), newer: side(1), log_keys: source };
}

function namesOf(keys: readonly VerifierKey[]): string {
  return keys.map(idOf).join(', ');
}

function idOf({ name, keyId }: VerifierKey): string {
  return `${name}+${keyId}`;
}
