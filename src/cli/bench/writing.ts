/**
 * What comes before a benchmark writes: the keys and the registry they belong to, somebody's agreement,
 * and one write through the verifying client, so that what would refuse all of them is told at once.
 */
import { randomBytes } from 'node:crypto';
import { type Command, Option } from 'commander';
import { bearerOf } from '../../client/bearer.ts';
import type { Client } from '../../client/client.ts';
import { RegistryError } from '../../core/error.ts';
import { MAX_PAYLOAD_BYTES } from '../../core/payload.ts';
import { createNativeVerifier } from '../../server/native-verifier.ts';
import type { Context } from '../context.ts';
import { usageError, verified } from '../failure.ts';
import { givenToken } from '../token-input.ts';
import { type Cycle, CycleMaker } from './cycle.ts';
import { parseSize } from './options.ts';
import type { RunConfig } from './result.ts';
import { type KeyFlags, readSigners } from './signers.ts';

export interface WriteFlags extends KeyFlags {
  /** Bytes. */
  readonly size: number;
  readonly yes?: boolean;
}

export function addWriteOptions(command: Command): Command {
  return command
    .option('--key <file...>', 'the private keys to approve with, as many as must approve')
    .option('--passphrase-file <file>', 'for encrypted keys; default: ask at a terminal')
    .addOption(
      new Option('--size <size>', 'of a payload, about').argParser(parseSize).default(4096, '4KiB'),
    )
    .option('-y, --yes', 'do not ask');
}

export function writeConfig({ size, key = [] }: WriteFlags): RunConfig {
  return { size, approvals: key.length };
}

/** What a run writes with. */
export interface Writing {
  readonly maker: CycleMaker;
  readonly token: string | undefined;
}

const HOUR_MS = 3_600_000;
/** Payloads made ahead stay in memory until they are sent. */
const MAX_STOCK_BYTES = 512 * 1024 * 1024;

/** `runMs`: how long payloads must last at least. Throws whatever would refuse the writes of the run. */
export async function openWriting(
  context: Context,
  { flags, runMs }: { readonly flags: WriteFlags; readonly runMs: number },
): Promise<Writing> {
  const { globals, io } = context;
  if (flags.key === undefined) throw usageError('expected --key with the keys to approve with');
  if (flags.size > MAX_PAYLOAD_BYTES)
    throw usageError(`expected --size of at most ${MAX_PAYLOAD_BYTES} bytes, got ${flags.size}`);
  if (globals.tokenFile === '-')
    throw usageError('expected the token in a file or in QUORATE_TOKEN: it is read twice');
  const client = await context.client();
  const head = await verified(client.head());
  const signers = await readSigners(context, flags, head.governance);
  await assertAgreed(context, head.origin, flags);
  const maker = new CycleMaker({
    head,
    signers,
    size: flags.size,
    runId: randomBytes(8).toString('hex'),
    lifetimeMs: HOUR_MS + runMs,
    now: io.now,
    verifier: createNativeVerifier(),
  });
  await writeOne(client, await maker.make());
  return { maker, token: await bearerOf(await givenToken({ io, globals })?.()) };
}

/** Made before the clock runs; interrupted, those that were. */
export async function makeStock(
  context: Context,
  { maker, count, size }: { maker: CycleMaker; count: number; size: number },
): Promise<readonly Cycle[]> {
  if (count * size > MAX_STOCK_BYTES)
    throw usageError(
      `expected fewer or smaller payloads, got ${count} of ${size} bytes: they are made ahead, and held in memory`,
    );
  const bar = context.progress('payloads signed');
  const stock: Cycle[] = [];
  for (let i = 0; i < count && !context.io.interrupt.aborted; i++) {
    stock.push(await maker.make());
    bar.show(stock.length, count);
  }
  await bar.end();
  return stock;
}

async function assertAgreed(
  { io, globals, say, confirm }: Context,
  origin: string,
  { yes }: WriteFlags,
): Promise<void> {
  const warning = `this writes descriptors of kind bench to ${origin} at ${globals.url}: entries stay for ever`;
  if (yes === true) return say(`warning: ${warning}`);
  await io.stderr.write(`${warning}\n`);
  if (await confirm('write to it?')) return;
  throw new RegistryError('invalid_request', 'expected agreement, got none: nothing was written');
}

async function writeOne(client: Client, { proposal, approvals }: Cycle): Promise<void> {
  await client.propose(proposal.bytes);
  for (const approval of approvals) await client.approve(proposal.payloadB3, approval);
  await client.commit(proposal.payloadB3);
}
