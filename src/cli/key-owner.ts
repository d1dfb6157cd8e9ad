/** Whose a key is. Its file does not say; what `quorate keygen` writes beside it does. */
import { existsSync } from 'node:fs';
import { encodeBase64 } from '../core/bytes.ts';
import { parseVerifierKey } from '../core/vkey.ts';
import type { Io } from './io.ts';
import { readSigner, readVerifierKey, signerPath, verifierKeyPath } from './signer-file.ts';

export interface KeyOwner {
  /** As a person says it: `signer org:acme#alice`. */
  readonly name: string;
  /** The file that says so. */
  readonly place: string;
}

interface Found extends KeyOwner {
  /** Base64. */
  readonly publicKey: string;
}

interface Key {
  readonly path: string;
  readonly publicKey: Uint8Array;
}

/** `undefined`: nothing beside the key names it. Throws for a file beside it that is damaged. */
export async function ownerOf(
  io: Pick<Io, 'stdin'>,
  { path, publicKey }: Key,
): Promise<KeyOwner | undefined> {
  const found = [await signerBeside(io, path), await serviceBeside(io, path)];
  const key = encodeBase64(publicKey);
  return found.find((owner) => owner?.publicKey === key);
}

async function signerBeside(io: Pick<Io, 'stdin'>, keyPath: string): Promise<Found | undefined> {
  const place = signerPath(keyPath);
  if (!existsSync(place)) return undefined;
  const { signer_id: id, public_key: publicKey } = await readSigner(io, place);
  return { name: `signer ${id}`, publicKey, place };
}

async function serviceBeside(io: Pick<Io, 'stdin'>, keyPath: string): Promise<Found | undefined> {
  const place = verifierKeyPath(keyPath);
  if (!existsSync(place)) return undefined;
  const key = parseVerifierKey(await readVerifierKey(io, place));
  if (key === undefined) return undefined;
  const role = key.type === 'cosigner' ? 'cosigner' : 'log';
  return { name: `${role} ${key.name}`, publicKey: encodeBase64(key.publicKey), place };
}
