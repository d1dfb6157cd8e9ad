/** better-sqlite3 answers `Buffer`s; outside the store bytes are plain. */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}
