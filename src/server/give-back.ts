/** Memory of pieces that are done with, given back at once. */

/**
 * The piece is empty afterwards, and must be the caller's alone. What only the garbage collector gives back makes it
 * run every twenty megabytes, on more processors than the rest of an upload takes. A piece that is a part of
 * something larger is left as it is.
 */
export function giveBack({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
