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
export { type SetBranch, type SetChange, SetTree } from './set-tree.ts';
export { formatTime, isTime } from './time.ts';
export { admitKey, createPortableVerifier, type SignedMessage, type Verifier } from './verifier.ts';
export { encodeVerifierKey, parseVerifierKey, type VerifierKey } from './vkey.ts';
