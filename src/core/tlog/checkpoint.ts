/**
 * C2SP tlog-checkpoint: a tree head as the text of a note. Its signatures are `note-signatures`.
 */
import { decodeBase64, encodeBase64 } from '../bytes.ts';
import { excerpt, RegistryError } from '../error.ts';

export interface Checkpoint {
  readonly origin: string;
  /** Leaves. */
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
}

/** Without extension lines: ours have none. */
export function encodeCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${encodeBase64(root)}\n`;
}

/** `text`: of a note. Extension lines of other logs are read over. Throws `invalid_checkpoint`. */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin = '', size = '', root = '', ...extensions] = text.split('\n').slice(0, -1);
  const hash = decodeBase64(root);
  const isWellFormed =
    text.endsWith('\n') &&
    origin !== '' &&
    /^(?:0|[1-9][0-9]{0,15})$/.test(size) &&
    Number.isSafeInteger(Number(size)) &&
    !extensions.includes('');
  if (!isWellFormed || hash?.length !== 32)
    throw new RegistryError(
      'invalid_checkpoint',
      `expected the origin, size and root of a c2sp checkpoint, got ${excerpt(text)}`,
    );
  return { origin, size: Number(size), root: hash };
}
