/**
 * The changes of a payload as slices of its bytes: what is canonical has each thing in one place, so a value
 * can be compared where it stands, without making objects of it. For payloads that were accepted before; what
 * does not look as it should is left to who reads strictly.
 */

/** What is put is canonical JSON; `null` removes. */
export interface ChangeSlice {
  readonly kind: string;
  readonly id: string;
  readonly spec: Uint8Array | null;
}

const [QUOTE, BACKSLASH, OPEN, CLOSE, COMMA, END] = [0x22, 0x5c, 0x7b, 0x7d, 0x2c, 0x5d];
const BEGIN = '{"changes":[';
const ID = '{"id":"';
const KIND = '","kind":"';
const PUT = '","op":"put","replaces":';
const REMOVE = '","op":"remove","replaces":"';
const NULL = 'null';
const SPEC = ',"spec":';
/** `b3:` and 64 digits. */
const HASH_LENGTH = 67;

/** `undefined`: not in the form that canonical payloads with changes have. */
export function changeSlices(payload: Uint8Array): readonly ChangeSlice[] | undefined {
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  if (!isAt(text, BEGIN, 0)) return undefined;
  const changes: ChangeSlice[] = [];
  for (let at = BEGIN.length; text[at] !== END; ) {
    const read = readChange(text, at);
    if (read === undefined) return undefined;
    changes.push(read.change);
    at = read.end;
    if (text[at] === COMMA) at++;
    else if (text[at] !== END) return undefined;
  }
  return changes;
}

function readChange(
  text: Buffer,
  at: number,
): { readonly change: ChangeSlice; readonly end: number } | undefined {
  if (!isAt(text, ID, at)) return undefined;
  const idAt = at + ID.length;
  const idEnd = text.indexOf(QUOTE, idAt);
  if (idEnd < 0 || !isAt(text, KIND, idEnd)) return undefined;
  const kindAt = idEnd + KIND.length;
  const kindEnd = text.indexOf(QUOTE, kindAt);
  const key = {
    id: text.toString('latin1', idAt, idEnd),
    kind: text.toString('latin1', kindAt, kindEnd),
  };
  if (isAt(text, REMOVE, kindEnd)) {
    const end = kindEnd + REMOVE.length + HASH_LENGTH + 1;
    return text[end] === CLOSE ? { change: { ...key, spec: null }, end: end + 1 } : undefined;
  }
  if (!isAt(text, PUT, kindEnd)) return undefined;
  const replacesAt = kindEnd + PUT.length;
  const specAt = replacesAt + (isAt(text, NULL, replacesAt) ? NULL.length : HASH_LENGTH + 2);
  if (!isAt(text, SPEC, specAt)) return undefined;
  const begin = specAt + SPEC.length;
  const end = endOfObject(text, begin);
  if (end === undefined || text[end] !== CLOSE) return undefined;
  return { change: { ...key, spec: text.subarray(begin, end) }, end: end + 1 };
}

function isAt(text: Buffer, expected: string, at: number): boolean {
  return at >= 0 && text.toString('latin1', at, at + expected.length) === expected;
}

/** After its closing brace. */
function endOfObject(text: Buffer, begin: number): number | undefined {
  if (text[begin] !== OPEN) return undefined;
  let depth = 0;
  for (let at = begin; at < text.length; at++) {
    const byte = text[at];
    if (byte === QUOTE) at = endOfString(text, at);
    else if (byte === OPEN) depth++;
    else if (byte === CLOSE && --depth === 0) return at + 1;
  }
  return undefined;
}

/** At its closing quote; the end of the text where there is none. */
function endOfString(text: Buffer, begin: number): number {
  for (let at = begin + 1; at < text.length; at++) {
    const byte = text[at];
    if (byte === BACKSLASH) at++;
    else if (byte === QUOTE) return at;
  }
  return text.length;
}
