/** What readers get of an entry, encoded once when it becomes visible: the head object, its ETag and its SSE frame. */
import { encodeUtf8 } from '../core/bytes.ts';
import { canonicalBytes, canonicalText } from '../core/canonical.ts';
import type { Hash } from '../core/hash.ts';
import type { Leaf } from '../core/leaf.ts';
import type { HeadObject, PublishedHead } from './registry.ts';

export function publishEntry({
  leaf,
  entryHash,
  registry,
  note,
  corrId = null,
}: {
  leaf: Leaf;
  entryHash: Hash;
  registry: Hash;
  /** The signed checkpoint that readers are to hold it against. */
  note: string | undefined;
  corrId?: string | null;
}): PublishedHead {
  const object: HeadObject = Object.freeze({
    origin: leaf.origin,
    registry,
    version: leaf.version,
    entry_hash: entryHash,
    payload_b3: leaf.payload_b3,
    set_root: leaf.set_root,
    set_size: leaf.set_size,
    governance_version: leaf.governance_version,
    type: leaf.type,
    committed_at: leaf.committed_at,
  });
  return Object.freeze({
    version: leaf.version,
    object,
    bytes: canonicalBytes(object),
    etag: `"${entryHash}"`,
    // The log does not know which request committed an entry: what is read back from it says null.
    frame: encodeFrame({
      event: 'registry.update',
      id: leaf.version,
      data: { ...object, checkpoint: note ?? null, corr_id: corrId },
    }),
  });
}

/** One SSE event. Canonical JSON has no line break, so one `data:` line holds it. */
export function encodeFrame({
  event,
  id,
  data,
  retryMs,
}: {
  event: string;
  id?: number;
  data: unknown;
  retryMs?: number;
}): Uint8Array {
  const lines = [`event: ${event}`, `data: ${canonicalText(data)}`];
  if (id !== undefined) lines.unshift(`id: ${id}`);
  if (retryMs !== undefined) lines.unshift(`retry: ${retryMs}`);
  return encodeUtf8(`${lines.join('\n')}\n\n`);
}
