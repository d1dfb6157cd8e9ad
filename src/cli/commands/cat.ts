/** `quorate cat`: one descriptor, proven to be in the head's set, and on request the proof for others to check. */
import type { Command } from 'commander';
import type { Client, VerifiedHead } from '../../client/client.ts';
import { decodeBase64 } from '../../core/bytes.ts';
import { type Json, parseCanonical } from '../../core/canonical.ts';
import { Check } from '../../core/check.ts';
import { descriptorPath } from '../../core/descriptor.ts';
import { RegistryError } from '../../core/error.ts';
import { formatHash, parseHash } from '../../core/hash.ts';
import { decodeSetProof, readSetProof, type SetProof, verifyBranch } from '../../core/set-proof.ts';
import { isIncluded, recordHash } from '../../core/tlog/merkle.ts';
import { parseKey } from '../arguments.ts';
import type { Context } from '../context.ts';
import { verified } from '../failure.ts';
import { keyOf, valueHashOf } from '../plan.ts';
import { asciiJson } from '../text.ts';
import { headJson } from './head.ts';

interface Key {
  readonly kind: string;
  readonly id: string;
}

export function defineCat(command: Command, context: Context): void {
  command
    .argument('<kind/id>', 'which descriptor', parseKey)
    .option('--proof', 'with the head, and the proof that leads to its set root')
    .action((key: Key, options: { proof?: boolean }) => show(context, key, options.proof === true));
}

async function show(context: Context, key: Key, isProofWanted: boolean): Promise<void> {
  const client = await context.client();
  const { head, descriptor } = await verified(client.descriptor(key));
  const valueHash = descriptor === null ? null : valueHashOf(descriptor);
  if (isProofWanted) {
    const proof = await verified(provenBy(client, { head, key, valueHash }));
    const tie = await verified(tieOf(client, head));
    await printDocument(context, {
      ...headJson(head),
      descriptor,
      value_hash: valueHash,
      proof,
      ...tie,
    });
  } else if (descriptor !== null) await printDocument(context, descriptor);
  if (descriptor === null)
    throw new RegistryError(
      'not_found',
      `expected ${keyOf(key)} at version ${head.version}, got the proof that it is absent`,
    );
}

function printDocument({ globals, print, printJson }: Context, value: object): Promise<void> {
  return globals.isJson ? printJson(value) : print(asciiJson(value));
}

/** A proof at the version of the verified head, checked against its set root. Throws `invalid_proof`. */
async function provenBy(
  client: Client,
  {
    head,
    key,
    valueHash,
  }: { readonly head: VerifiedHead; readonly key: Key; readonly valueHash: string | null },
): Promise<SetProof> {
  const answer = await client.unverifiedJson(
    `/registry/${head.version}/descriptors/${keyOf(key)}?proof=1`,
  );
  const members = new Check('invalid_proof').object(answer as Json, '');
  const proof = readSetProof(members.proof ?? null, '/proof');
  const place = { root: parseHash(head.setRoot), path: descriptorPath(key) };
  const verdict = verifyBranch(place, decodeSetProof(proof));
  const proven = verdict.state === 'present' ? formatHash(verdict.valueHash) : null;
  if (verdict.state === 'invalid' || proven !== valueHash)
    throw new RegistryError(
      'invalid_proof',
      `expected a proof of ${valueHash ?? 'absence'} under ${head.setRoot}, got another`,
    );
  return proof;
}

/**
 * What leads from the set root to the signed checkpoint: the head's leaf, which names the one, and its
 * inclusion in the other. Throws `invalid_proof`.
 */
async function tieOf(client: Client, { version, checkpoint }: VerifiedHead): Promise<object> {
  const { size, root, note } = checkpoint;
  const { bytes } = await client.entry(version);
  const answer = await client.unverifiedJson(`/registry/proof/inclusion/${version}/${size}`);
  const check = new Check('invalid_proof');
  const hashes = check
    .array(check.object(answer as Json, '').proof, '/proof', { min: 0, max: 63 })
    .map((hash, i) => check.base64(hash, `/proof/${i}`, 32));
  const claim = {
    record: recordHash(bytes.leaf),
    index: version,
    size,
    proof: hashes.flatMap((hash) => decodeBase64(hash) ?? []),
    root: decodeBase64(root) ?? new Uint8Array(),
  };
  if (!isIncluded(claim))
    throw new RegistryError(
      'invalid_proof',
      `expected a proof that version ${version} is in the checkpoint of ${size} entries, got one that fails`,
    );
  return { leaf: parseCanonical(bytes.leaf), inclusion_proof: hashes, checkpoint: note };
}
