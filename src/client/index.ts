/**
 * `quorate/client`: reads a registry that nobody has to trust, in Node and in a browser.
 *
 * @example
 * import { createClient } from 'quorate/client';
 *
 * const client = createClient({ url: 'http://127.0.0.1:7070', registry: 'b3:...' });
 * const { descriptor } = await client.descriptor({ kind: 'service', id: 'checkout' });
 * for await (const { head, entry } of client.follow()) deploy(head, entry);
 */
export type { Approval } from '../core/approval.ts';
export { ERROR_CODES, type ErrorCode, isErrorCode, RegistryError } from '../core/error.ts';
export type { Governance } from '../core/governance.ts';
export type { Hash } from '../core/hash.ts';
export type { EntryBytes, ErasedBytes, Leaf } from '../core/leaf.ts';
export type { DecodedPayload, Descriptor, Payload } from '../core/payload.ts';
export type { Chain } from '../core/rules.ts';
export type { NoteVerifier } from '../core/tlog/note-signatures.ts';
export { createPortableVerifier, type Verifier } from '../core/verifier.ts';
export type { BearerToken } from './bearer.ts';
export type {
  Client,
  ClientOptions,
  ErasedEntry,
  ProposalJson,
  PrunedGap,
  QuorumJson,
  TrustStore,
  Update,
  VerifiedCheckpoint,
  VerifiedDescriptor,
  VerifiedEntry,
  VerifiedHead,
  VerifiedSet,
  WholeEntry,
} from './client.ts';
export type { Clock } from './clock.ts';
export { createClient } from './create.ts';
export { memoryTrust } from './memory-trust.ts';
export type { Retry } from './retry.ts';
