/** What the commands that write payloads share: their options, and where the payload goes. */
import { existsSync } from 'node:fs';
import { type Command, Option } from 'commander';
import type { Client, QuorumJson } from '../client/client.ts';
import { encodeUtf8 } from '../core/bytes.ts';
import type { DecodedPayload } from '../core/payload.ts';
import type { Context } from './context.ts';
import { type Envelope, parseLifetime } from './draft.ts';
import { writeOutput } from './files.ts';
import { showQuorum } from './show-review.ts';

export interface EnvelopeOptions {
  readonly note: string;
  /** Milliseconds. */
  readonly expires: number;
}

const WEEK_MS = 7 * 86_400_000;

export function addEnvelopeOptions(command: Command): Command {
  return command
    .option('--note <text>', 'a remark that is signed with the payload', '')
    .addOption(
      new Option('--expires <time>', 'when approvals end, such as 12h or 7d; at most 30d')
        .argParser(parseLifetime)
        .default(WEEK_MS, '7d'),
    );
}

export function envelopeOf({ io }: Context, { note, expires }: EnvelopeOptions): Envelope {
  return { now: io.now(), lifetimeMs: expires, note };
}

/** The payload's bytes and nothing after them: the file hashes to the proposal's id. */
export async function writePayload(
  { io, say }: Context,
  path: string,
  { bytes, payloadB3 }: DecodedPayload,
): Promise<void> {
  await writeOutput(io, path, bytes);
  await say(`wrote ${path === '-' ? 'the payload' : path}: ${payloadB3}`);
}

/** As `writePayload`. The ceremony may be repeated, but what was approved of an earlier genesis is worthless then. */
export async function writeGenesisPayload(
  context: Context,
  path: string,
  proposal: DecodedPayload,
): Promise<void> {
  if (path !== '-' && existsSync(path))
    await context.say(
      `warning: another genesis takes the place of ${path}: approvals of that one do not count for it`,
    );
  await writePayload(context, path, proposal);
}

/** Posts the payload and prints its id: the one thing the signers need. */
export async function postPayload(
  context: Context,
  client: Client,
  proposal: DecodedPayload,
): Promise<void> {
  const { isNew, proposal_id, expires_at, quorum } = await client.propose(proposal.bytes);
  if (context.globals.isJson)
    return context.printJson({ is_new: isNew, proposal_id, expires_at, quorum });
  await context.print(proposal_id);
  await context.say(isNew ? 'proposed' : 'proposed before');
  await sayNext(context, { id: proposal_id, quorum });
}

/** The command that comes next, for a person who copies it. */
export async function sayNext(
  { say }: Context,
  { id, quorum }: { readonly id: string; readonly quorum: QuorumJson },
): Promise<void> {
  await say(showQuorum(quorum));
  await say(
    quorum.reached ? `next: quorate commit ${id}` : `next: quorate approve ${id} --key FILE`,
  );
}

export function encodeLine(text: string): Uint8Array {
  return encodeUtf8(`${text}\n`);
}
