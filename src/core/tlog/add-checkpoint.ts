/**
 * C2SP tlog-witness, `add-checkpoint`: the request as text, for who asks and for who answers. A log
 * names the size the witness saw last and proves that its new checkpoint only adds to it.
 */
import { decodeBase64, encodeBase64 } from '../bytes.ts';
import { excerpt, RegistryError } from '../error.ts';

export const ADD_CHECKPOINT_PATH = '/add-checkpoint';
/** Of a 409 answer whose body is the size the witness saw last. */
export const SIZE_MEDIA_TYPE = 'text/x.tlog.size';
/** Some witnesses refuse a longer request. */
export const MAX_REQUEST_BYTES = 16 * 1024;

export interface AddCheckpoint {
  /** The size the witness is believed to have seen last; 0: none. */
  readonly old: number;
  /** Of consistency from `old`, 32 bytes each, at most 63. */
  readonly proof: readonly Uint8Array[];
  /** With the log's signatures only. */
  readonly note: string;
}

export function encodeAddCheckpoint({ old, proof, note }: AddCheckpoint): string {
  return `old ${old}\n${proof.map((hash) => `${encodeBase64(hash)}\n`).join('')}\n${note}`;
}

/** Throws `malformed`. */
export function parseAddCheckpoint(body: string): AddCheckpoint {
  const end = body.indexOf('\n\n');
  const [first = '', ...lines] = body.slice(0, Math.max(0, end)).split('\n');
  const old = /^old (0|[1-9][0-9]{0,15})$/.exec(first)?.[1];
  const proof = lines.map(decodeBase64);
  const isHash = (hash: Uint8Array | undefined): hash is Uint8Array => hash?.length === 32;
  if (
    end < 0 ||
    old === undefined ||
    !Number.isSafeInteger(Number(old)) ||
    proof.length > 63 ||
    !proof.every(isHash)
  )
    throw new RegistryError(
      'malformed',
      `expected "old <size>", up to 63 hashes, an empty line and a checkpoint, got ${excerpt(body)}`,
    );
  return { old: Number(old), proof, note: body.slice(end + 2) };
}
