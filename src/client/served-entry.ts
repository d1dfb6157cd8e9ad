/** Entries as a server gives them: read strictly in form, believed by nobody yet. */
import { canonicalBytes, parseCanonical } from '../core/canonical.ts';
import { Check } from '../core/check.ts';
import { RegistryError } from '../core/error.ts';
import { decodeLeaf, type EntryBytes, type ErasedBytes, type Leaf } from '../core/leaf.ts';
import { ANSWER_LIMITS } from './json.ts';

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
    const object = check.object(parseCanonical(line, ANSWER_LIMITS), '');
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
