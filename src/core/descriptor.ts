/** A descriptor's two hashes: what it is (`valueHash`) and where it stands in the set (`path`). */
import { encodeUtf8 } from './bytes.ts';
import { canonicalBytes, parseCanonical } from './canonical.ts';
import { Check, ID, KIND } from './check.ts';
import { blake3Bytes } from './hash.ts';
import type { Descriptor } from './payload.ts';

/** JCS of `{id, kind, spec}`: the bytes behind the value hash, and an item of a served set. */
export function encodeDescriptor({ kind, id, spec }: Descriptor): Uint8Array {
  return canonicalBytes({ kind, id, spec });
}

/** Reads a descriptor from canonical bytes; throws what `parseCanonical` throws, and `invalid_payload`. */
export function decodeDescriptor(bytes: Uint8Array): Descriptor {
  const check = new Check('invalid_payload');
  const object = check.members(parseCanonical(bytes), '', ['id', 'kind', 'spec']);
  return {
    kind: check.text(object.kind, '/kind', KIND),
    id: check.text(object.id, '/id', ID),
    spec: check.object(object.spec, '/spec'),
  };
}

/** 32 bytes. */
export function descriptorPath({ kind, id }: { kind: string; id: string }): Uint8Array {
  return blake3Bytes(encodeUtf8(`${kind}/${id}`));
}

/** 32 bytes, of `encodeDescriptor`'s bytes. */
export function descriptorValueHash(bytes: Uint8Array): Uint8Array {
  return blake3Bytes(bytes);
}
