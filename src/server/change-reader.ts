/**
 * The changes of a payload where they stand in its bytes: what is canonical has each thing in one place, so a
 * value can be compared without making objects of it. For payloads that were accepted before; what does not look
 * as it should is left to who reads strictly.
 */

const [QUOTE, BACKSLASH, OPEN, CLOSE, COMMA, LIST_END] = [0x22, 0x5c, 0x7b, 0x7d, 0x2c, 0x5d];
const BEGIN = bytesOf('{"changes":[');
const ID = bytesOf('{"id":"');
const KIND = bytesOf('","kind":"');
const PUT = bytesOf('","op":"put","replaces":');
const REMOVE = bytesOf('","op":"remove","replaces":"');
const NULL = bytesOf('null');
const SPEC = bytesOf(',"spec":');
/** Of a string, looked at one by one; what is longer is left to a search, whose call costs as much. */
const NEAR_BYTES = 32;
/** `b3:` and 64 digits. */
const HASH_LENGTH = 67;

/** Reads one change after the other; its fields are of the newest one, as places in the bytes. */
export class ChangeReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  /** Where the object of the change begins. */
  begin = 0;
  idAt = 0;
  idEnd = 0;
  kindAt = 0;
  kindEnd = 0;
  /** Of a put, canonical JSON; -1 where the change removes. */
  specAt = -1;
  specEnd = -1;
  /** There was a value before, which this change ends. */
  isReplacing = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** To before the first change of the payload that begins at `at`; `false`: it has no changes in their canonical form. */
  enter(at: number): boolean {
    this.#at = at + BEGIN.length;
    return this.#isAt(BEGIN, at);
  }

  /** `true`: the next change was read. `false`: there is none, or it is not in the canonical form. */
  next(): boolean {
    const end = this.#readChange(this.#at);
    if (end < 0) return false;
    const after = this.#bytes[end];
    if (after !== COMMA && after !== LIST_END) return false;
    this.#at = after === COMMA ? end + 1 : end;
    return true;
  }

  /** After `next` said no: every change was read, and the list ends there. */
  get isWhole(): boolean {
    return this.#bytes[this.#at] === LIST_END;
  }

  /** Of a list that was read to its end: the place of its closing bracket. */
  get end(): number {
    return this.#at;
  }

  /** Answers the place after it; -1: it is none. */
  #readChange(at: number): number {
    if (!this.#isAt(ID, at)) return -1;
    this.begin = at;
    this.idAt = at + ID.length;
    this.idEnd = this.#quoteFrom(this.idAt);
    if (!this.#isAt(KIND, this.idEnd)) return -1;
    this.kindAt = this.idEnd + KIND.length;
    this.kindEnd = this.#quoteFrom(this.kindAt);
    if (this.#isAt(PUT, this.kindEnd)) return this.#readPut(this.kindEnd + PUT.length);
    return this.#isAt(REMOVE, this.kindEnd) ? this.#readRemove(this.kindEnd + REMOVE.length) : -1;
  }

  #readPut(replacesAt: number): number {
    this.isReplacing = !this.#isAt(NULL, replacesAt);
    const replacesEnd = replacesAt + (this.isReplacing ? HASH_LENGTH + 2 : NULL.length);
    if (!this.#isAt(SPEC, replacesEnd)) return -1;
    this.specAt = replacesEnd + SPEC.length;
    this.specEnd = this.#endOfObject(this.specAt);
    return this.specEnd >= 0 && this.#bytes[this.specEnd] === CLOSE ? this.specEnd + 1 : -1;
  }

  #readRemove(hashAt: number): number {
    this.isReplacing = true;
    this.specAt = -1;
    this.specEnd = -1;
    const end = hashAt + HASH_LENGTH + 1;
    return this.#bytes[end] === CLOSE ? end + 1 : -1;
  }

  #isAt(expected: Uint8Array, at: number): boolean {
    for (let i = 0; i < expected.length; i++) if (this.#bytes[at + i] !== expected[i]) return false;
    return true;
  }

  /** At the next quote; the end where there is none. */
  #quoteFrom(begin: number): number {
    const bytes = this.#bytes;
    let at = begin;
    while (at < bytes.length && bytes[at] !== QUOTE) at++;
    return at;
  }

  /** After its closing brace; -1 where there is none. */
  #endOfObject(begin: number): number {
    const bytes = this.#bytes;
    if (bytes[begin] !== OPEN) return -1;
    let depth = 0;
    for (let at = begin; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte === QUOTE) at = this.#endOfString(at);
      else if (byte === OPEN) depth++;
      else if (byte === CLOSE && --depth === 0) return at + 1;
    }
    return -1;
  }

  /** At its closing quote; the end where there is none. */
  #endOfString(begin: number): number {
    const bytes = this.#bytes;
    for (let at = begin + 1; at < bytes.length; ) {
      for (const near = at + NEAR_BYTES; at < near; at++) {
        const byte = bytes[at];
        if (byte === BACKSLASH) at++;
        else if (byte === QUOTE) return at;
      }
      const quote = bytes.indexOf(QUOTE, at);
      if (quote < 0) break;
      if (!this.#isEscaped(quote, at)) return quote;
      at = quote + 1;
    }
    return bytes.length;
  }

  /** By an odd number of backslashes from `begin`, where a character begins. */
  #isEscaped(at: number, begin: number): boolean {
    let first = at;
    while (first > begin && this.#bytes[first - 1] === BACKSLASH) first--;
    return (at - first) % 2 === 1;
  }
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
