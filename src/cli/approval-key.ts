/** The key an approval is made with: its options, its passphrase, and whose it is. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { Approval } from '../core/approval.ts';
import { encodeBase64 } from '../core/bytes.ts';
import { SIGNER_ID } from '../core/check.ts';
import { RegistryError } from '../core/error.ts';
import { eligibleSigners } from '../core/quorum.ts';
import { createNativeVerifier } from '../server/native-verifier.ts';
import type { Context } from './context.ts';
import { usageError } from './failure.ts';
import { isOpenToOthers, type KeyPair, readKeyFile } from './key-file.ts';
import { knownPassphrase } from './passphrase.ts';
import type { Review } from './review.ts';
import { readSigner, signerPath } from './signer-file.ts';
import { signApproval, signerOf } from './signing.ts';

export interface ApprovalKeyOptions {
  readonly key?: string;
  readonly id?: string;
  readonly passphraseFile?: string;
}

export function addKeyOptions(command: Command): Command {
  return command
    .option('--key <file>', 'the private key to sign with, as `keygen` wrote it')
    .option('--passphrase-file <file>', 'for an encrypted key; default: ask at a terminal')
    .option(
      '--id <signer>',
      'the signer id; default: the one the key has in the registry, else in FILE.pub.json',
    );
}

/** `options.key` is given. Throws `unknown_signer` when the approval could never count. */
export async function approveWithKey(
  context: Context,
  review: Review,
  options: ApprovalKeyOptions,
): Promise<Approval> {
  const { key: path = '', passphraseFile: file } = options;
  const key = await readKeyFile(path, () => knownPassphrase(context.io, { keyPath: path, file }));
  if (await isOpenToOthers(path))
    await context.say(`warning: ${path} is open to others; chmod 600 closes it`);
  const signerId = await signerIdFor(context, { review, key, options });
  return signApproval(review.proposal, {
    signerId,
    key,
    now: context.io.now(),
    verifier: createNativeVerifier(),
  });
}

async function signerIdFor(
  { io }: Context,
  {
    review,
    key,
    options,
  }: { readonly review: Review; readonly key: KeyPair; readonly options: ApprovalKeyOptions },
): Promise<string> {
  const { payload } = review.proposal;
  if (options.id !== undefined && !SIGNER_ID.test(options.id))
    throw usageError(`expected --id with ${SIGNER_ID.expected}`);
  const eligible = eligibleSigners(payload, review.governance ?? null);
  const found = signerOf(key.publicKey, eligible);
  if (found !== undefined && (options.id ?? found) === found) return found;
  const isKnown = payload.type === 'genesis' || review.governance !== undefined;
  if (isKnown)
    throw new RegistryError(
      'unknown_signer',
      `expected the key of a signer, got ${encodeBase64(key.publicKey)}, which ${options.id ?? 'nobody in the governance'} does not have`,
    );
  return options.id ?? (await idBeside(io, { keyPath: options.key ?? '', key }));
}

/** Offline only the file beside the key says whose it is. */
async function idBeside(
  io: Context['io'],
  { keyPath, key }: { readonly keyPath: string; readonly key: KeyPair },
): Promise<string> {
  const path = signerPath(keyPath);
  if (!existsSync(path))
    throw new RegistryError(
      'invalid_request',
      `expected to find whose key ${keyPath} is in ${path}, got no such file: is it the key of a signer? Else --id says whose it is`,
    );
  const { signer_id, public_key } = await readSigner(io, path);
  if (public_key !== encodeBase64(key.publicKey))
    throw new RegistryError(
      'unknown_signer',
      `expected the public half of ${keyPath} in ${path}, got another key`,
    );
  return signer_id;
}
