/** The worked example of docs/wire-format.md, made from core. Deterministic: fixed seeds and times. */
import { bytesToHex } from '@noble/hashes/utils.js';
import { approvalStatement } from '../../src/core/approval.ts';
import { decodeUtf8, encodeBase64 } from '../../src/core/bytes.ts';
import { canonicalText } from '../../src/core/canonical.ts';
import type { Appended, Chain } from '../../src/core/chain.ts';
import { descriptorPath, encodeDescriptor } from '../../src/core/descriptor.ts';
import { formatHash, hashOf } from '../../src/core/hash.ts';
import { type DecodedPayload, registryOf } from '../../src/core/payload.ts';
import { encodeSetProof, verifyBranch } from '../../src/core/set-proof.ts';
import { encodeCheckpoint } from '../../src/core/tlog/checkpoint.ts';
import { cosignedMessage, cosignedSubtree } from '../../src/core/tlog/cosignature.ts';
import { proveConsistency, proveInclusion } from '../../src/core/tlog/merkle.ts';
import { encodeProofFile } from '../../src/core/tlog/proof-file.ts';
import { encodeBundle } from '../../src/core/tlog/tiles.ts';
import { makeCosigner, signedNote } from './core-checkpoint.ts';
import { TestLog } from './core-log.ts';
import {
  ALICE,
  append,
  approve,
  BOB,
  decode,
  descriptorsMembers,
  genesisMembers,
  governanceOf,
  logKey,
  type PayloadMembers,
  put,
} from './core-registry.ts';

const SIGNERS = [ALICE, BOB];
const DESCRIPTORS = [
  { id: 'billing', kind: 'service', spec: { port: 8443, tags: ['é', 'eu'] } },
  { id: 'search', kind: 'service', spec: { port: 9200, weight: 0.5 } },
] as const;

const WITNESS = makeCosigner('witness.example.com/w1', 201);
/** 2026-11-21T09:00:05Z */
const COSIGNED_AT = 1_795_251_605;

/** Markdown, without the markers around it. */
export async function workedExample(): Promise<string> {
  const governance = governanceOf(SIGNERS);
  const genesis = append(null, genesisMembers({ governance, note: 'first' }), SIGNERS);
  const changes = DESCRIPTORS.map(({ id, spec }) => put(genesis.chain, id, spec));
  const members = descriptorsMembers(genesis.chain.registry, changes, { note: 'two services' });
  const next = append(genesis.chain, members, SIGNERS);
  return [
    ...keys(),
    '### Version 0: genesis',
    ...entry(genesis, genesisMembers({ governance, note: 'first' })),
    '### Version 1: two descriptors',
    ...entry(next, members),
    '### The set after version 1',
    ...DESCRIPTORS.flatMap(descriptor),
    ...setRoot(next.chain),
    ...proofs(next.chain),
    ...(await tree(new TestLog(genesis).add(members, SIGNERS))),
  ].join('\n\n');
}

function keys(): string[] {
  const rows = SIGNERS.map(({ signer_id, public_key }, i) => {
    const seed = `${`0${i + 1}`} 32 times`;
    return `| \`${signer_id}\` | ${seed} | \`${public_key}\` |`;
  });
  const table = ['| signer | seed | public key |', '| --- | --- | --- |', ...rows].join('\n');
  return ['### Keys', table, `The log's verifier key (seed: c8 32 times):\n\n${fence(logKey())}`];
}

function entry({ entry, leaf, chain }: Appended, members: PayloadMembers): string[] {
  const proposal = decode(members);
  return [
    `Payload, ${leaf.payload_bytes} bytes:\n\n${fence(decodeUtf8(entry.payload))}`,
    `\`payload_b3\` is \`${leaf.payload_b3}\`.`,
    `What ${ALICE.signer_id} signs (the last line ends with a line feed too):\n\n${fence(statement(proposal))}`,
    `The signature:\n\n${fence(approve(ALICE, proposal).sig)}`,
    `Approvals:\n\n${fence(decodeUtf8(entry.approvals))}`,
    `Leaf, ${entry.leaf.length} bytes:\n\n${fence(decodeUtf8(entry.leaf))}`,
    `\`entry_hash\` is \`${chain.entryHash}\`.`,
  ];
}

function statement(proposal: DecodedPayload): string {
  const { payload, payloadB3 } = proposal;
  const signedAt = approve(ALICE, proposal).signed_at;
  const { origin } = payload;
  const registry = registryOf(proposal);
  return decodeUtf8(approvalStatement({ origin, registry, payloadB3, signedAt })).trimEnd();
}

function descriptor(each: (typeof DESCRIPTORS)[number]): string[] {
  const bytes = encodeDescriptor(each);
  const lines = [
    decodeUtf8(bytes),
    `value_hash  ${hashOf(bytes)}`,
    `path        ${formatHash(descriptorPath(each))}`,
  ];
  return [fence(lines.join('\n'))];
}

function setRoot({ set }: Chain): string[] {
  return [`\`set_root\` is \`${set.root}\`.`];
}

function proofs({ set }: Chain): string[] {
  return ['billing', 'absent'].map((id) => {
    const path = descriptorPath({ kind: 'service', id });
    const branch = set.branch(path);
    const { state } = verifyBranch({ root: set.rootHash, path }, branch);
    const proof = canonicalText(encodeSetProof(branch));
    return `Set proof of \`service/${id}\` (path \`${formatHash(path)}\`), which is ${state}:\n\n${fence(proof)}`;
  });
}

async function tree(log: TestLog): Promise<string[]> {
  const roots = [0, 1].map((version) => log.at(version).chain.tree.root);
  const records = [0, 1].map((version) => log.at(version).nodes[0]?.hash ?? new Uint8Array());
  const leaves = [0, 1].map((version) => log.at(version).entry.leaf);
  const bundle = bytesToHex(encodeBundle(leaves));
  const inclusion = await proveInclusion({ index: 0, size: 2 }, log.read);
  const consistency = await proveConsistency({ from: 1, size: 2 }, log.read);
  const hashes = records.map((hash, i) => `leaf hash of version ${i}  ${encodeBase64(hash)}`);
  const sizes = roots.map((root, i) => `root of size ${i + 1}          ${encodeBase64(root)}`);
  return [
    '### The tree',
    fence([...hashes, ...sizes].join('\n')),
    `\`/tile/0/000.p/2\`, 64 bytes in hexadecimal:\n\n${fence(records.map(bytesToHex).join('\n'))}`,
    `\`/tile/entries/000.p/2\`, ${bundle.length / 2} bytes; the first 16 in hexadecimal:\n\n${fence(bundle.slice(0, 32))}`,
    `\`/registry/proof/inclusion/0/2\`:\n\n${fence(canonicalText({ leaf_index: 0, proof: inclusion.map(encodeBase64), size: 2 }))}`,
    `\`/registry/proof/consistency/1/2\`:\n\n${fence(canonicalText({ from: 1, proof: consistency.map(encodeBase64), size: 2 }))}`,
    ...checkpoints(log.chain, inclusion),
  ];
}

function checkpoints({ origin, tree }: Chain, proof: readonly Uint8Array[]): string[] {
  const checkpoint = { origin, size: tree.size, root: tree.root };
  const note = signedNote(checkpoint, {
    more: (text) => [WITNESS.cosign(text, COSIGNED_AT)],
  });
  const named = { cosigner: 'witness.example.com/w1', timestamp: COSIGNED_AT };
  const signed = decodeUtf8(cosignedMessage(encodeCheckpoint(checkpoint), COSIGNED_AT));
  const policy = `witness w1 ${WITNESS.vkey}\nquorum w1`;
  return [
    '### The checkpoint of both versions',
    `The verifier key of a witness (seed: c9 32 times), in a policy that asks for its cosignature:\n\n${fence(policy)}`,
    `What it signs at ${COSIGNED_AT} (the last line ends with a line feed too):\n\n${fence(signed.trimEnd())}`,
    `The note:\n\n${fence(note.trimEnd())}`,
    `What a witness of that name would sign with ML-DSA-44, in hexadecimal:\n\n${fence(bytesToHex(cosignedSubtree(checkpoint, named)))}`,
    `\`/registry/0/tlog-proof\`:\n\n${fence(encodeProofFile({ index: 0, proof, note }).trimEnd())}`,
  ];
}

function fence(text: string): string {
  return `\`\`\`text\n${text}\n\`\`\``;
}
