/** `quorate keygen`: a signer key with its public half beside it, or a log or cosigner key with its verifier key. */
import type { Command } from 'commander';
import { encodeBase64 } from '../../core/bytes.ts';
import { ORIGIN, SIGNER_ID } from '../../core/check.ts';
import { excerpt } from '../../core/error.ts';
import type { Signer } from '../../core/governance.ts';
import { encodeVerifierKey, type KeyType } from '../../core/vkey.ts';
import type { Context } from '../context.ts';
import { usageError } from '../failure.ts';
import { createKeyFile, isKeyAlgorithm, type KeyAlgorithm } from '../key-file.ts';
import { newPassphrase } from '../passphrase.ts';
import { encodeSigner, signerPath, verifierKeyPath } from '../signer-file.ts';

/** C2SP signed-note, "Format": a key name; of what else it allows, only what is seen in a terminal. */
const COSIGNER_NAME = /^[!-*,-~]{1,255}$/;

interface KeygenOptions {
  readonly output: string;
  readonly id?: string;
  readonly log?: boolean;
  readonly origin?: string;
  readonly algo?: string;
  readonly cosigner?: string;
  readonly passphraseFile?: string;
  readonly plain?: boolean;
}

export function defineKeygen(command: Command, context: Context): void {
  command
    .requiredOption('-o, --output <file>', 'the private key, PKCS8 PEM; must not exist yet')
    .option('--id <signer>', 'the signer id, such as org:acme#alice-2026')
    .option(
      '--log',
      'a key that signs checkpoints, for --origin; a service reads it: not encrypted',
    )
    .option('--origin <origin>', 'the origin a log key is named after')
    .option('--algo <name>', 'of a log key: ed25519 or, beside such a one, ml-dsa-44 (ed25519)')
    .option('--cosigner <name>', 'a key of a witness or a clock, of that name; not encrypted')
    .option('--passphrase-file <file>', 'encrypt the key; default: ask at a terminal')
    .option('--plain', 'do not encrypt, and do not ask')
    .action((options: KeygenOptions) => keygen(context, options));
}

async function keygen(context: Context, options: KeygenOptions): Promise<void> {
  const { id, log = false, origin, algo, cosigner } = options;
  const kinds = [id !== undefined, log, cosigner !== undefined].filter(Boolean).length;
  if (kinds > 1) throw usageError('expected one of --id, --log and --cosigner, got several');
  if (!log && (origin ?? algo) !== undefined)
    throw usageError('expected --origin and --algo with --log alone');
  if (log) return makeLogKey(context, options);
  if (cosigner !== undefined) return makeCosignerKey(context, { ...options, cosigner });
  return makeSigner(context, options);
}

async function makeSigner(context: Context, options: KeygenOptions): Promise<void> {
  const { id, output } = options;
  if (id === undefined || !SIGNER_ID.test(id))
    throw usageError(`expected --id with ${SIGNER_ID.expected}`);
  const signerOf = (publicKey: Uint8Array): Signer => ({
    signer_id: id,
    algo: 'ed25519',
    public_key: encodeBase64(publicKey),
  });
  const publicPath = signerPath(output);
  const publicKey = await createKeyFile({
    path: output,
    passphrase: await passphraseFor(context, options),
    publicPath,
    publicText: (key) => encodeSigner(signerOf(key)),
  });
  await context.printJson(signerOf(publicKey));
  await context.say(
    `wrote ${output} (keep it) and ${publicPath} (give it to who runs the ceremony)`,
  );
}

async function makeLogKey(context: Context, options: KeygenOptions): Promise<void> {
  const { origin, algo = 'ed25519' } = options;
  if (origin === undefined || !ORIGIN.test(origin))
    throw usageError(`expected --origin with ${ORIGIN.expected}`);
  if (!isKeyAlgorithm(algo))
    throw usageError(`expected --algo ed25519 or ml-dsa-44, got ${excerpt(algo)}`);
  await makeServiceKey(context, options, { algorithm: algo, name: origin, type: algo });
}

async function makeCosignerKey(
  context: Context,
  options: KeygenOptions & { readonly cosigner: string },
): Promise<void> {
  const name = options.cosigner;
  if (!COSIGNER_NAME.test(name))
    throw usageError(
      `expected --cosigner with a name without blanks and +, such as example.com/witness, got ${excerpt(name)}`,
    );
  await makeServiceKey(context, options, { algorithm: 'ed25519', name, type: 'cosigner' });
}

/** A service reads such a key and has nobody to ask: it is not encrypted. */
async function makeServiceKey(
  context: Context,
  { output, passphraseFile }: KeygenOptions,
  { algorithm, name, type }: { algorithm: KeyAlgorithm; name: string; type: KeyType },
): Promise<void> {
  if (passphraseFile !== undefined)
    throw usageError('expected no --passphrase-file: a service has nobody to ask for it');
  const vkeyOf = (publicKey: Uint8Array) => encodeVerifierKey({ name, type, publicKey });
  const publicPath = verifierKeyPath(output);
  const publicKey = await createKeyFile({
    path: output,
    passphrase: undefined,
    algorithm,
    publicPath,
    publicText: (key) => `${vkeyOf(key)}\n`,
  });
  const vkey = vkeyOf(publicKey);
  await (context.globals.isJson ? context.printJson({ vkey }) : context.print(vkey));
  await context.say(`wrote ${output} (for the service alone) and ${publicPath}`);
}

async function passphraseFor(
  context: Context,
  { output, passphraseFile, plain }: KeygenOptions,
): Promise<string | undefined> {
  if (plain === true) return undefined;
  return newPassphrase(context, { keyPath: output, file: passphraseFile });
}
