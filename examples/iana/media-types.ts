/** IANA's media types, as the npm package mime-db ships them, as descriptors; and sets too large for one payload, in parts. */
import { canonicalBytes } from '../../src/core/canonical.ts';
import {
  compareKeys,
  type Descriptor,
  MAX_CHANGES,
  MAX_PAYLOAD_BYTES,
} from '../../src/core/payload.ts';

/** An entry of mime-db's db.json. */
export interface MediaType {
  readonly source?: string;
  readonly charset?: string;
  readonly compressible?: boolean;
  readonly extensions?: readonly string[];
}

/** Those that IANA registered; mime-db also has what servers made up. Sorted. */
export function descriptorsOf(types: Readonly<Record<string, MediaType>>): Descriptor[] {
  return Object.entries(types)
    .filter(([, { source }]) => source === 'iana')
    .map(([id, { charset, compressible, extensions }]) => ({
      kind: 'media-type',
      id,
      spec: {
        ...(charset === undefined ? {} : { charset }),
        ...(compressible === undefined ? {} : { compressible }),
        ...(extensions === undefined ? {} : { extensions }),
      },
    }))
    .sort(compareKeys);
}

/** What a payload holds beside its changes, at most: a note of 1,024 characters of up to 4 bytes among it. */
const ENVELOPE_BYTES = 8192;
/** What a change says beside its descriptor: `op`, `replaces` with a hash, a comma. */
const CHANGE_BYTES = 110;

/** In order, each part small enough for one payload that puts all of it. */
export function partsOf(
  descriptors: readonly Descriptor[],
  maxBytes: number = MAX_PAYLOAD_BYTES,
): Descriptor[][] {
  const parts: Descriptor[][] = [];
  let room = 0;
  for (const descriptor of descriptors) {
    const bytes = canonicalBytes(descriptor).length + CHANGE_BYTES;
    const part = parts.at(-1);
    if (part === undefined || bytes > room || part.length === MAX_CHANGES) {
      parts.push([descriptor]);
      room = maxBytes - ENVELOPE_BYTES - bytes;
    } else {
      part.push(descriptor);
      room -= bytes;
    }
  }
  return parts;
}
