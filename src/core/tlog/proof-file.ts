/**
 * C2SP tlog-proof: a leaf's place in a log and the checkpoint that shows it, as one small text that
 * can be kept beside the thing itself and checked without the log.
 */
import { decodeBase64, encodeBase64 } from '../bytes.ts';
import { excerpt, RegistryError } from '../error.ts';

export interface ProofFile {
  readonly index: number;
  /** Of inclusion, the leaf's sibling first, 32 bytes each. */
  readonly proof: readonly Uint8Array[];
  /** A signed checkpoint with its cosignatures. */
  readonly note: string;
  /** What the writer adds for its readers: signed by nobody. */
  readonly extra?: Uint8Array;
}

const HEADER = 'c2sp.org/tlog-proof@v1';

export function encodeProofFile({ index, proof, note, extra }: ProofFile): string {
  const lines = [
    HEADER,
    ...(extra === undefined ? [] : [`extra ${encodeBase64(extra)}`]),
    `index ${index}`,
    ...proof.map(encodeBase64),
  ];
  return `${lines.join('\n')}\n\n${note}`;
}

/** Checks nothing but the form. Throws `malformed`. */
export function parseProofFile(text: string): ProofFile {
  const end = text.indexOf('\n\n');
  const [header, ...rest] = text.slice(0, Math.max(0, end)).split('\n');
  const extraLine = rest[0]?.startsWith('extra ') ? rest.shift() : undefined;
  const extra = extraLine === undefined ? undefined : decodeBase64(extraLine.slice(6));
  const index = /^index (0|[1-9][0-9]{0,15})$/.exec(rest.shift() ?? '')?.[1];
  const proof = rest.map(decodeBase64);
  const isHash = (hash: Uint8Array | undefined): hash is Uint8Array => hash?.length === 32;
  const isWellFormed =
    header === HEADER &&
    (extraLine === undefined || extra !== undefined) &&
    index !== undefined &&
    Number.isSafeInteger(Number(index)) &&
    proof.length <= 63;
  if (!isWellFormed || !proof.every(isHash))
    throw new RegistryError('malformed', `expected a ${HEADER} text, got ${excerpt(text)}`);
  return {
    index: Number(index),
    proof,
    note: text.slice(end + 2),
    ...(extra !== undefined && { extra }),
  };
}
