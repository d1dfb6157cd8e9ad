/** `quorate proof`: a C2SP tlog-proof of one entry, for whoever knows nothing of registries but its log key. */
import type { Command } from 'commander';
import { decodeUtf8, encodeBase64, encodeUtf8 } from '../../core/bytes.ts';
import { canonicalBytes } from '../../core/canonical.ts';
import { Check } from '../../core/check.ts';
import { escapeText, RegistryError } from '../../core/error.ts';
import { entryHash } from '../../core/leaf.ts';
import { isIncluded, recordHash } from '../../core/tlog/merkle.ts';
import {
  readSignedCheckpoint,
  type SignedCheckpoint,
  signersOf,
} from '../../core/tlog/note-signatures.ts';
import { encodeProofFile, type ProofFile, parseProofFile } from '../../core/tlog/proof-file.ts';
import { parseVerifierKey } from '../../core/vkey.ts';
import { parseVersion } from '../arguments.ts';
import type { Context } from '../context.ts';
import { usageError, verified } from '../failure.ts';
import { readInput, readJson, writeOutput } from '../files.ts';
import { createFullVerifier } from '../full-verifier.ts';
import { openLogSource } from '../open-log.ts';
import { proveLeaf } from '../prove-leaf.ts';
import { readVerifierKey } from '../signer-file.ts';
import { addWitnessOptions, type WitnessOptions, witnessedBy } from '../witness-options.ts';
import { trustedRegistry } from './bundle.ts';

interface VerifyOptions extends WitnessOptions {
  readonly logKey: readonly string[];
  readonly leaf?: string;
  readonly entry?: string;
}

interface WriteOptions {
  readonly output?: string;
  readonly data?: string;
}

export function defineProof(command: Command, context: Context): void {
  command
    .argument('<version>', 'the entry', parseVersion)
    .option('--data <path>', 'from a database file or a data directory, instead of --url')
    .option('-o, --output <file>', 'the proof; - is stdout; default: VERSION.tlog-proof')
    .action((version: number, options: WriteOptions) => writeProof(context, version, options));
  addWitnessOptions(
    command
      .command('verify')
      .summary('verify a proof without a network')
      .description('Verify a proof from a log key alone. Opens no connection.')
      .argument('<file>', 'the proof; - is stdin')
      .requiredOption('--log-key <vkey|file...>', 'the verifier key of the log')
      .option('--leaf <file>', 'the leaf; default: the one the proof brings with it')
      .option('--entry <file>', 'the entry that holds the leaf, as `get --json` prints it'),
  ).action((file: string, options: VerifyOptions) => verifyProof(context, file, options));
}

async function writeProof(
  context: Context,
  version: number,
  { output = `${version}.tlog-proof`, data }: WriteOptions,
): Promise<void> {
  const registry = context.globals.registry ?? (await trustedRegistry(context, data));
  await using source = await openLogSource(context, data);
  const { note, size, leaf, proof } = await verified(proveLeaf(source, { version, registry }));
  const text = encodeProofFile({ index: version, proof, note, extra: leaf });
  await writeOutput(context.io, output, encodeUtf8(text));
  await context.say(
    `wrote ${output}: version ${version}, ${entryHash(leaf)}, in the checkpoint of ${size} entries`,
  );
}

async function verifyProof(context: Context, path: string, options: VerifyOptions): Promise<void> {
  const { io, globals, print, printJson, style } = context;
  if (options.leaf !== undefined && options.entry !== undefined)
    throw usageError('expected one of --leaf and --entry, got both');
  const keys = await Promise.all(options.logKey.map((key) => readVerifierKey(io, key)));
  const given = await givenLeaf(io, options);
  const written = await readInput(io, path);
  const { proof, checkpoint, witnesses } = await verified(
    (async () => {
      const file = parseProofFile(written);
      const signed = await signedBy(readSignedCheckpoint(file.note), keys);
      assertProven(file, signed, given);
      const verifier = createFullVerifier();
      return {
        proof: file,
        checkpoint: signed,
        witnesses: await witnessedBy(context, signed, { options, verifier }),
      };
    })(),
  );
  const { index } = proof;
  const { origin, size, root } = checkpoint;
  const cosigned = witnesses?.cosigned ?? null;
  const leaf = given ?? proof.extra ?? new Uint8Array();
  const text = textOf(leaf);
  if (globals.isJson)
    return printJson({
      origin,
      index,
      size,
      root: encodeBase64(root),
      cosigned,
      leaf: text ?? null,
      entry_hash: entryHash(leaf),
    });
  await print(
    [
      style('good', `verified: leaf ${index} of ${origin}, in the checkpoint of ${size} entries`),
      text === undefined
        ? `it is no text, so none of a registry: ${leaf.length} bytes, ${entryHash(leaf)}`
        : escapeText(text),
      'who approved it is not in this proof: `quorate bundle` proves that',
    ].join('\n'),
  );
}

/** `undefined`: not UTF-8. Any log may hold such a leaf, and what is proven of it is proven. */
function textOf(leaf: Uint8Array): string | undefined {
  try {
    return decodeUtf8(leaf);
  } catch {
    return undefined;
  }
}

async function signedBy(
  checkpoint: SignedCheckpoint,
  vkeys: readonly string[],
): Promise<SignedCheckpoint> {
  const keys = vkeys.flatMap((vkey) => parseVerifierKey(vkey) ?? []);
  const stranger = keys.find(({ name, type }) => name !== checkpoint.origin || type === 'cosigner');
  if (stranger !== undefined)
    throw new RegistryError(
      'wrong_registry',
      `expected a checkpoint of ${stranger.name}, got one of ${checkpoint.origin}`,
    );
  if ((await signersOf(checkpoint, keys, createFullVerifier())).size > 0) return checkpoint;
  throw new RegistryError(
    'invalid_signature',
    'expected the checkpoint to be signed by --log-key, got no such signature',
  );
}

function assertProven(
  { index, proof, extra }: ProofFile,
  { size, root }: SignedCheckpoint,
  given: Uint8Array | undefined,
): void {
  const leaf = given ?? extra;
  if (leaf === undefined)
    throw usageError('expected --leaf or --entry: the proof brings no leaf with it');
  if (isIncluded({ record: recordHash(leaf), index, size, proof, root })) return;
  throw new RegistryError(
    'invalid_proof',
    `expected a proof that this leaf is number ${index} of ${size}, got one that does not lead to the checkpoint`,
  );
}

/** The leaf's bytes are its canonical form, however the file is laid out. */
async function givenLeaf(
  io: Context['io'],
  { leaf, entry }: VerifyOptions,
): Promise<Uint8Array | undefined> {
  if (leaf !== undefined) return canonicalBytes(await readJson(io, leaf));
  if (entry === undefined) return undefined;
  const object = new Check('malformed').object(await readJson(io, entry), '');
  return canonicalBytes(new Check('malformed').object(object.leaf, '/leaf'));
}
