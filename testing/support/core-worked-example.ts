/** The worked example of docs/wire-format.md, made from core. Deterministic: fixed seeds and times. */
import { approvalStatement } from '../../src/core/approval.ts';
import { decodeUtf8 } from '../../src/core/bytes.ts';
import { canonicalText } from '../../src/core/canonical.ts';
import type { Appended, Chain } from '../../src/core/chain.ts';
import { descriptorPath, encodeDescriptor } from '../../src/core/descriptor.ts';
import { formatHash, hashOf } from '../../src/core/hash.ts';
import { type DecodedPayload, registryOf } from '../../src/core/payload.ts';
import { encodeSetProof, verifyBranch } from '../../src/core/set-proof.ts';
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

/** Markdown, without the markers around it. */
export function workedExample(): string {
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

function fence(text: string): string {
  return `\`\`\`text\n${text}\n\`\`\``;
}
