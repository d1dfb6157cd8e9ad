/** `quorate keygen`: a signer key with its public half beside it, or a log key with its verifier key. */
import type { Command } from 'commander';
import { encodeBase64 } from '../../core/bytes.ts';
import { ORIGIN, SIGNER_ID } from '../../core/check.ts';
import type { Signer } from '../../core/governance.ts';
import { encodeVerifierKey } from '../../core/vkey.ts';
import type { Context } from '../context.ts';
import { usageError } from '../failure.ts';
import { createKeyFile } from '../key-file.ts';
import { newPassphrase } from '../passphrase.ts';
import { encodeSigner, signerPath, verifierKeyPath } from '../signer-file.ts';

interface KeygenOptions {
  readonly output: string;
  readonly id?: string;
  readonly log?: boolean;
  readonly origin?: string;
  readonly passphraseFile?: string;
  readonly plain?: boolean;
}

export function defineKeygen(command: Command, context: Context): void {
  command
    .requiredOption('-o, --output <file>', 'the private key, PKCS8 PEM; must not exist yet')
    .option('--id <signer>', 'the signer id, such as org:acme#alice-2026')
    .option('--log', 'a key that signs checkpoints, for --origin')
    .option('--origin <origin>', 'the origin a log key is named after')
    .option('--passphrase-file <file>', 'encrypt the key; default: ask at a terminal')
    .option('--plain', 'do not encrypt, and do not ask')
    .action((options: KeygenOptions) =>
      options.log === true ? makeLogKey(context, options) : makeSigner(context, options),
    );
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
  const { origin, output } = options;
  if (origin === undefined || !ORIGIN.test(origin))
    throw usageError(`expected --origin with ${ORIGIN.expected}`);
  const vkeyOf = (publicKey: Uint8Array) => encodeVerifierKey({ name: origin, publicKey });
  const publicPath = verifierKeyPath(output);
  const publicKey = await createKeyFile({
    path: output,
    passphrase: await passphraseFor(context, options),
    publicPath,
    publicText: (key) => `${vkeyOf(key)}\n`,
  });
  const vkey = vkeyOf(publicKey);
  await (context.globals.isJson ? context.printJson({ vkey }) : context.print(vkey));
  await context.say(`wrote ${output} (keep it) and ${publicPath}`);
}

async function passphraseFor(
  { io }: Context,
  { output, passphraseFile, plain }: KeygenOptions,
): Promise<string | undefined> {
  if (plain === true) return undefined;
  return newPassphrase(io, { keyPath: output, file: passphraseFile });
}
