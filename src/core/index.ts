/**
 * `quorate/core`: the wire format as functions, for whoever signs, verifies or re-implements it. Pure,
 * without I/O or clock, the same in Node and in a browser.
 *
 * @example
 * import { createPortableVerifier, verifyEntry } from 'quorate/core';
 *
 * let chain = null;
 * for (const entry of entries) {
 *   ({ chain } = await verifyEntry(chain, entry, { verifier, isCommitted: (hash) => seen.has(hash) }));
 * }
 *
 * @example
 * import { isIncluded, parseProofFile, readSignedCheckpoint, recordHash, signersOf } from 'quorate/core';
 *
 * const { index, proof, note } = parseProofFile(text);
 * const checkpoint = readSignedCheckpoint(note);
 * const { origin, size, root } = checkpoint;
 * const signers = await signersOf(checkpoint, [logKey], verifier);
 * const isSigned = origin === logKey.name && signers.has(logKey);
 * const isLogged = isSigned && isIncluded({ record: recordHash(leaf), index, size, proof, root });
 */
export {
  type Approval,
  approvalStatement,
  decodeApprovals,
  encodeApprovals,
  isApprovalValid,
  readApproval,
  type Statement,
} from './approval.ts';
export { decodeBase64, encodeBase64 } from './bytes.ts';
export {
  canonicalBytes,
  canonicalText,
  type Json,
  type JsonObject,
  parseCanonical,
} from './canonical.ts';
export {
  type Appended,
  type AppendInput,
  type AppliedChange,
  appendEntry,
  type VerifyInput,
  verifyEntry,
} from './chain.ts';
export {
  decodeDescriptor,
  descriptorPath,
  descriptorValueHash,
  encodeDescriptor,
} from './descriptor.ts';
export { assertErasable, type ErasureTarget } from './erasure.ts';
export { ERROR_CODES, type ErrorCode, escapeText, RegistryError } from './error.ts';
export { type Governance, governanceHash, type Signer } from './governance.ts';
export { formatHash, type Hash, hashOf, isHash, parseHash } from './hash.ts';
export { decodeLeaf, type EntryBytes, encodeLeaf, entryHash, type Leaf } from './leaf.ts';
export {
  type Change,
  changesOf,
  compareKeys,
  type DecodedPayload,
  type Descriptor,
  decodePayload,
  type Payload,
  type PayloadType,
  registryOf,
  SCHEMA_VERSION,
} from './payload.ts';
export type { Previous } from './previous.ts';
export { countQuorum, eligibleSigners, type Quorum, type QuorumRule } from './quorum.ts';
export { type BrokenFence, brokenFences, type Chain, changePaths } from './rules.ts';
export {
  decodeSetProof,
  encodeSetProof,
  readSetProof,
  type SetProof,
  type SetProofVerdict,
  verifyBranch,
} from './set-proof.ts';
export type { SetBranch, SetChange } from './set-rows.ts';
export { SetTree } from './set-tree.ts';
export { formatTime, isTime } from './time.ts';
export {
  type AddCheckpoint,
  encodeAddCheckpoint,
  parseAddCheckpoint,
} from './tlog/add-checkpoint.ts';
export { type Checkpoint, encodeCheckpoint } from './tlog/checkpoint.ts';
export {
  type Cosignature,
  cosignedMessage,
  cosignedSubtree,
  encodeCosignature,
} from './tlog/cosignature.ts';
export { LogTree } from './tlog/log-tree.ts';
export {
  type ConsistencyClaim,
  type InclusionClaim,
  isConsistent,
  isIncluded,
  type NodePlace,
  proveConsistency,
  proveInclusion,
  type ReadNodes,
  recordHash,
  rootAt,
  type TreeNode,
} from './tlog/merkle.ts';
export {
  encodeNote,
  encodeSignature,
  type Note,
  type NoteSignature,
  parseNote,
  parseSignatures,
} from './tlog/note.ts';
export {
  type NoteVerifier,
  readSignedCheckpoint,
  type SignedCheckpoint,
  signersOf,
} from './tlog/note-signatures.ts';
export {
  NO_WITNESSES,
  type PolicyWitness,
  parsePolicy,
  quorumTime,
  type WitnessPolicy,
} from './tlog/policy.ts';
export { encodeProofFile, type ProofFile, parseProofFile } from './tlog/proof-file.ts';
export {
  decodeBundle,
  decodeTile,
  encodeBundle,
  formatTileName,
  parseTileName,
  type TileName,
  tileWidth,
} from './tlog/tiles.ts';
export { admitKey, createPortableVerifier, type SignedMessage, type Verifier } from './verifier.ts';
export { encodeVerifierKey, type KeyType, parseVerifierKey, type VerifierKey } from './vkey.ts';
