/** A token taken apart and put together in other ways: protobuf `Biscuit`, as far as an attacker needs it. */

export interface Part {
  readonly field: number;
  /** A varint instead of bytes. */
  readonly value?: number;
  readonly bytes?: Uint8Array;
}

export const FIELD = { rootKeyId: 1, authority: 2, block: 3, proof: 4 } as const;
export const BLOCK_FIELD = { content: 1, nextKey: 2, signature: 3, version: 5 } as const;

export function takeApart(message: Uint8Array): readonly Part[] {
  const parts: Part[] = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = message[at++] ?? 0;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const value = varint();
    if ((tag & 7) === 0) {
      parts.push({ field: tag >> 3, value });
      continue;
    }
    parts.push({ field: tag >> 3, bytes: message.slice(at, at + value) });
    at += value;
  }
  return parts;
}

export function putTogether(parts: readonly Part[]): Uint8Array {
  const bytes = parts.flatMap(({ field, value, bytes: content }) =>
    content === undefined
      ? [...varintOf(field << 3), ...varintOf(value ?? 0)]
      : [...varintOf((field << 3) | 2), ...varintOf(content.length), ...content],
  );
  return Uint8Array.from(bytes);
}

function varintOf(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varintOf(value >>> 7)];
}

/** One of the parts, changed. */
export function withPart(
  parts: readonly Part[],
  field: number,
  change: (bytes: Uint8Array) => Uint8Array,
): readonly Part[] {
  return parts.map((part) =>
    part.field === field && part.bytes !== undefined ? { field, bytes: change(part.bytes) } : part,
  );
}

export function bytesIn(parts: readonly Part[], field: number): Uint8Array {
  const bytes = parts.find((part) => part.field === field)?.bytes;
  if (bytes === undefined) throw new Error(`expected field ${field}`);
  return bytes;
}
