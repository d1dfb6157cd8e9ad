/** `quorate bundle`: an entry with everything that proves it, in a file; and the check of such a file without a network. */
import type { Command } from 'commander';
import {
  encodeBundleFile,
  parseBundleFile,
  type VerifiedBundle,
  verifyBundle,
} from '../../core/bundle.ts';
import { encodeBase64, encodeUtf8 } from '../../core/bytes.ts';
import { RegistryError } from '../../core/error.ts';
import type { Hash } from '../../core/hash.ts';
import type { Witnessed } from '../../core/tlog/witnessed.ts';
import { parseVersion } from '../arguments.ts';
import { assembleBundle, cutBundle } from '../assemble-bundle.ts';
import type { Context } from '../context.ts';
import { verified } from '../failure.ts';
import { readInput, writeOutput } from '../files.ts';
import { createFullVerifier } from '../full-verifier.ts';
import { parseHashOption } from '../globals.ts';
import { openLogSource } from '../open-log.ts';
import { showBundle } from '../show-bundle.ts';
import { addWitnessOptions, type WitnessOptions, witnessedBy } from '../witness-options.ts';

interface ExportOptions {
  readonly version?: number;
  readonly since?: number;
  readonly output: string;
  readonly data?: string;
}

interface VerifyOptions extends WitnessOptions {
  readonly pin: Hash;
  readonly version?: number;
}

export function defineBundle(command: Command, context: Context): void {
  command
    .command('export')
    .summary('write an entry with what proves it')
    .description(
      'Write an entry, the governance entries that lead to it, and a checkpoint that holds them all.',
    )
    .option('--version <version>', 'the entry; default: the newest in the checkpoint', parseVersion)
    .option(
      '--since <version>',
      'begin at this entry, which set the governance, for readers who pinned its entry hash',
      parseVersion,
    )
    .option('--data <path>', 'from a database file or a data directory, instead of --url')
    .requiredOption('-o, --output <file>', 'the bundle; - is stdout')
    .action((options: ExportOptions) => writeBundle(context, options));
  addWitnessOptions(
    command
      .command('verify')
      .summary('verify a bundle without a network')
      .description('Verify a bundle from a pin alone. Opens no connection.')
      .argument('<file>', 'the bundle; - is stdin')
      .requiredOption(
        '--pin <hash>',
        'the registry; for a bundle made with --since the entry hash of its first entry',
        parseHashOption,
      )
      .option('--version <version>', 'demand that it proves this version', parseVersion),
  ).action((file: string, options: VerifyOptions) => verifyFile(context, file, options));
}

async function writeBundle(context: Context, options: ExportOptions): Promise<void> {
  const { globals, io, say } = context;
  const registry = globals.registry ?? (await trustedRegistry(context, options.data));
  await using source = await openLogSource(context, options.data);
  const { version } = options;
  const input = { registry, ...(version !== undefined && { version }) };
  const assembled = await verified(assembleBundle(source, input));
  const { file, pin } = cutBundle(assembled, options.since ?? 0);
  await writeOutput(io, options.output, encodeBundleFile(file));
  const { size } = assembled.verified.checkpoint;
  await say(
    `wrote ${options.output}: version ${assembled.version} in the checkpoint of ${size} entries; to verify it:\n  quorate bundle verify ${options.output} --pin ${pin}`,
  );
  if (globals.isJson && options.output !== '-')
    await context.printJson({ output: options.output, pin, version: assembled.version, size });
}

/** The one that trusted state names, or that is believed on first use; a database is taken as it is. */
export async function trustedRegistry(
  context: Context,
  data: string | undefined,
): Promise<Hash | undefined> {
  if (data !== undefined) return undefined;
  return (await verified((await context.client()).head())).registry;
}

async function verifyFile(context: Context, path: string, options: VerifyOptions): Promise<void> {
  const { io, globals } = context;
  const verifier = createFullVerifier();
  const bytes = encodeUtf8(await readInput(io, path));
  const { bundle, witnessed } = await verified(
    (async () => {
      const found = await verifyBundle(parseBundleFile(bytes), { pin: options.pin, verifier });
      assertHolds(found, options.version);
      const { checkpoint } = found;
      return {
        bundle: found,
        witnessed: await witnessedBy(context, checkpoint, { options, verifier }),
      };
    })(),
  );
  await (globals.isJson
    ? context.printJson(bundleJson(bundle, witnessed))
    : context.print(showBundle(bundle, witnessed, context.style)));
}

function assertHolds({ entries }: VerifiedBundle, version: number | undefined): void {
  if (version === undefined || entries.some(({ leaf }) => leaf.version === version)) return;
  const list = entries.map(({ leaf }) => leaf.version).join(', ');
  throw new RegistryError(
    'invalid_proof',
    `expected a bundle that proves version ${version}, got one of ${list}`,
  );
}

function bundleJson(
  { checkpoint, entries, lineage, logKeys }: VerifiedBundle,
  witnessed: Witnessed | undefined,
): object {
  return {
    origin: lineage.origin,
    registry: lineage.registry,
    size: checkpoint.size,
    root: encodeBase64(checkpoint.root),
    log_keys: logKeys.map(({ keyId }) => keyId),
    governance: lineage.governance,
    cosigned: witnessed?.cosigned ?? null,
    fresh_at: witnessed?.time ?? null,
    entries: entries.map(({ leaf, entryHash, proposal, approvals }) => ({
      version: leaf.version,
      entry_hash: entryHash,
      payload_b3: proposal.payloadB3,
      type: leaf.type,
      committed_at: leaf.committed_at,
      set_root: leaf.set_root,
      set_size: leaf.set_size,
      signers: approvals.map(({ signer_id }) => signer_id),
    })),
  };
}
