import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeUtf8 } from '../../../src/core/bytes.ts';
import { canonicalBytes } from '../../../src/core/canonical.ts';
import {
  decodeDescriptor,
  descriptorPath,
  descriptorValueHash,
  encodeDescriptor,
} from '../../../src/core/descriptor.ts';
import { blake3Bytes } from '../../../src/core/hash.ts';
import { refuses } from '../../support/core-assert.ts';

const descriptor = { kind: 'service', id: 'a/b', spec: { z: [1, 'é'], a: null } };

test('a descriptor is written as canonical JSON of id, kind and spec, whatever else it carries', () => {
  const bytes = encodeDescriptor({ ...descriptor, ...{ op: 'put', replaces: null } });
  const text = '{"id":"a/b","kind":"service","spec":{"a":null,"z":[1,"é"]}}';
  assert.deepEqual(bytes, encodeUtf8(text));
  assert.deepEqual(decodeDescriptor(bytes), descriptor);
  assert.deepEqual(descriptorValueHash(bytes), blake3Bytes(encodeUtf8(text)));
});

test('a path depends on kind and id alone, and no two pairs share one', () => {
  assert.deepEqual(descriptorPath(descriptor), blake3Bytes(encodeUtf8('service/a/b')));
  // A kind has no slash, so the first slash always ends it.
  refuses('invalid_payload', () =>
    decodeDescriptor(canonicalBytes({ kind: 'service/a', id: 'b', spec: {} })),
  );
});

test('a descriptor with other members or wrong ones is refused', () => {
  const { kind, id, spec } = descriptor;
  const refused = [
    { kind, id },
    { kind, spec },
    { id, spec },
    { kind, id, spec, more: 1 },
    { kind: 'K', id, spec },
    { kind, id: '', spec },
    { kind, id, spec: [] },
    { kind, id, spec: null },
    [],
  ];
  for (const value of refused)
    refuses('invalid_payload', () => decodeDescriptor(canonicalBytes(value)));
  refuses('not_canonical', () => decodeDescriptor(encodeUtf8('{"kind":"a","id":"b","spec":{}}')));
});
