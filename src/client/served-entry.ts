/** Entries as a server gives them: read strictly in form, believed by nobody yet. */
import { canonicalBytes, parseCanonical } from '../core/canonical.ts';
import { Check } from '../core/check.ts';
import { RegistryError } from '../core/error.ts';
import { MAX_SIGNERS } from '../core/governance.ts';
import { JSON_LIMITS, type JsonLimits } from '../core/json-scan.ts';
import { decodeLeaf, type EntryBytes, type ErasedBytes, type Leaf } from '../core/leaf.ts';
import { MAX_PAYLOAD_BYTES } from '../core/payload.ts';

/** The signers before and after a change of governance. */
const MAX_APPROVALS = MAX_SIGNERS * 2;
/** Its four members, none of them longer than a signer id, and their names. */
const MAX_APPROVAL_BYTES = 512;
/** C2SP tlog-tiles: its length stands in two bytes. */
export const MAX_LEAF_BYTES = 0xffff;
/** What an entry may have at most, with the names of its parts. */
export const MAX_ENTRY_BYTES: number =
  MAX_PAYLOAD_BYTES + MAX_APPROVALS * MAX_APPROVAL_BYTES + MAX_LEAF_BYTES + 1024;
const ENTRY_LIMITS: JsonLimits = {
  maxDepth: JSON_LIMITS.maxDepth + 1,
  maxTokens: JSON_LIMITS.maxTokens + MAX_APPROVALS * 5 + 1024,
};

/** Only its leaf was read. */
export interface ServedEntry {
  readonly version: number;
  readonly leaf: Leaf;
  readonly bytes: EntryBytes | ErasedBytes;
}

export interface ServedWhole extends ServedEntry {
  readonly bytes: EntryBytes;
}

const check = new Check('unexpected_answer');

/** The line is canonical, so each part written again is the part as stored. `payload` is null where it was erased. */
export function readServedEntry(line: Uint8Array, version: number): ServedEntry {
  try {
    if (line.length > MAX_ENTRY_BYTES)
      check.fail('', `an entry of at most ${MAX_ENTRY_BYTES} bytes`, line.length);
    const object = check.object(parseCanonical(line, ENTRY_LIMITS), '');
    const leaf = canonicalBytes(check.object(object.leaf, '/leaf'));
    const approvals = canonicalBytes(
      check.array(object.approvals, '/approvals', { min: 0, max: 10_000 }),
    );
    const bytes =
      object.payload === null
        ? { leaf, payload: null, approvals }
        : { leaf, payload: canonicalBytes(check.object(object.payload, '/payload')), approvals };
    const read = decodeLeaf(leaf);
    if (read.version !== version) check.fail('/leaf/version', `version ${version}`, read.version);
    return { version, leaf: read, bytes };
  } catch (cause) {
    const why = cause instanceof RegistryError ? cause.message : 'something unreadable';
    throw new RegistryError(
      'unexpected_answer',
      `expected entry ${version}, got a line that is none: ${why}`,
      { cause, details: { version } },
    );
  }
}
