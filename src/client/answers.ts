/**
 * The read routes as typed questions. An answer is read strictly as far as the client uses it, and may
 * have members a later server added; that it is well-formed says nothing about whether it is true.
 */
import { decodeBase64, decodeUtf8 } from '../core/bytes.ts';
import type { Json } from '../core/canonical.ts';
import { Check, ID, KIND } from '../core/check.ts';
import { RegistryError } from '../core/error.ts';
import { type Hash, parseHash } from '../core/hash.ts';
import type { Descriptor } from '../core/payload.ts';
import { decodeSetProof, readSetProof } from '../core/set-proof.ts';
import type { SetBranch, SetLeaf } from '../core/set-rows.ts';
import { MAX_NOTE_CHARACTERS } from '../core/tlog/note.ts';
import { decodeBundle, formatTileName, TILE_WIDTH } from '../core/tlog/tiles.ts';
import { DESCRIPTOR_LIMITS, itemsLimits, parseJsonBytes } from './json.ts';
import {
  MAX_ENTRY_BYTES,
  MAX_LEAF_BYTES,
  readServedEntry,
  type ServedEntry,
  type ServedWhole,
} from './served-entry.ts';
import type { RequestBounds, Transport } from './transport.ts';

export const MAX_HEAD_BYTES = 64 * 1024;
export const MAX_PAGE_BYTES = 16 * 1024 * 1024;
export const PAGE_ENTRIES = 256;
const MAX_BUNDLE_BYTES = TILE_WIDTH * (2 + MAX_LEAF_BYTES);
/** No tree of C2SP is higher. */
const MAX_PROOF_HASHES = 63;

const NEWLINE = 0x0a;

/** A head as the server tells it: nothing is believed of it. */
export interface ToldHead {
  readonly version: number;
  readonly entryHash: Hash;
}

/** A version, and how many descriptors the verified leaf of it says there are. */
export interface SetQuestion {
  readonly version: number;
  readonly size: number;
}

export interface ServedDescriptor {
  readonly branch: SetBranch;
  readonly descriptor: Descriptor | null;
}

const check = new Check('unexpected_answer');

export class Answers {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The signed note, as text and no more. `isFresh`: past every cache on the way. */
  async checkpoint({
    isFresh = false,
    ...bounds
  }: RequestBounds & { readonly isFresh?: boolean } = {}): Promise<string> {
    const options = { ...bounds, isFresh, maxBytes: MAX_NOTE_CHARACTERS, accept: 'plain' } as const;
    const { bytes } = await this.#transport.get('/checkpoint', options);
    try {
      return decodeUtf8(bytes);
    } catch (cause) {
      throw new RegistryError(
        'invalid_checkpoint',
        'expected a c2sp signed note, got bytes that are no text',
        { cause },
      );
    }
  }

  /** Long poll: resolves when there may be a head newer than `after`, or after `seconds`. */
  async wait(
    { after, seconds }: { readonly after: number; readonly seconds: number },
    bounds: RequestBounds,
  ): Promise<void> {
    const options = { ...bounds, maxBytes: MAX_HEAD_BYTES, accept: 'json' } as const;
    await this.#transport.get(`/registry/head?after=${after}&wait=${seconds}`, options);
  }

  /** The hashes as served; what they prove is for who knows the roots. */
  consistencyProof(
    { from, size }: { readonly from: number; readonly size: number },
    bounds: RequestBounds = {},
  ): Promise<readonly Uint8Array[]> {
    return this.#proof(`/registry/proof/consistency/${from}/${size}`, bounds);
  }

  inclusionProof(
    { version, size }: { readonly version: number; readonly size: number },
    bounds: RequestBounds = {},
  ): Promise<readonly Uint8Array[]> {
    return this.#proof(`/registry/proof/inclusion/${version}/${size}`, bounds);
  }

  /** Throws `erased` for one without its payload: what is left of it is in `entries`. */
  async entry(version: number, bounds: RequestBounds = {}): Promise<ServedWhole> {
    const options = { ...bounds, maxBytes: MAX_ENTRY_BYTES, accept: 'json' } as const;
    const { bytes } = await this.#transport.get(`/registry/${version}`, options);
    return assertWhole(readServedEntry(bytes, version));
  }

  /** Consecutive from `from`; empty past the head. A long page is cut after a whole entry. */
  async entries(
    from: number,
    { limit = PAGE_ENTRIES, ...bounds }: RequestBounds & { readonly limit?: number } = {},
  ): Promise<readonly ServedEntry[]> {
    const path = `/registry/entries?from=${from}&limit=${limit}`;
    const options = {
      ...bounds,
      maxBytes: MAX_PAGE_BYTES,
      accept: 'ndjson',
      whenLarger: 'cut',
    } as const;
    const { bytes, isCut } = await this.#transport.get(path, options);
    return splitLines(bytes, isCut).map((line, i) => readServedEntry(line, from + i));
  }

  /** The leaves of an entry bundle, of which `width` are there at least. They outlive what is pruned. */
  async leaves(
    { index, width }: { readonly index: number; readonly width: number },
    bounds: RequestBounds = {},
  ): Promise<readonly Uint8Array[]> {
    const get = async (count: number): Promise<readonly Uint8Array[]> => {
      const path = `/tile/${formatTileName({ level: 'entries', index, width: count })}`;
      const options = { ...bounds, maxBytes: MAX_BUNDLE_BYTES, accept: 'octet-stream' } as const;
      const { bytes } = await this.#transport.get(path, options);
      return decodeBundle(bytes, count).slice(0, width);
    };
    try {
      return await get(width);
    } catch (error) {
      // C2SP tlog-tiles: a partial tile may be gone once the full one stands.
      const isGone = error instanceof RegistryError && error.code === 'not_found';
      if (isGone && width < TILE_WIDTH) return get(TILE_WIDTH);
      throw error;
    }
  }

  /** Sorted, each key once; not yet compared with any set root. Throws `invalid_proof` for another number. */
  async set(question: SetQuestion, bounds: RequestBounds = {}): Promise<readonly Descriptor[]> {
    const items = await this.#items('descriptors', question, bounds);
    return items.map((item, i) => readDescriptor(item, `/items/${i}`));
  }

  /** One leaf of a tree of `size`, from its bundle. */
  async leaf(
    { version, size }: { readonly version: number; readonly size: number },
    bounds: RequestBounds = {},
  ): Promise<Uint8Array> {
    const index = Math.floor(version / TILE_WIDTH);
    const first = index * TILE_WIDTH;
    const width = Math.min(TILE_WIDTH, size - first);
    const leaf = (await this.leaves({ index, width }, bounds))[version - first];
    if (leaf !== undefined) return leaf;
    throw new RegistryError('invalid_request', `expected a version below ${size}, got ${version}`);
  }

  /** The set by hashes alone, which stay when values are erased; as `set` otherwise. */
  async setHashes(question: SetQuestion, bounds: RequestBounds = {}): Promise<readonly SetLeaf[]> {
    const items = await this.#items('hashes', question, bounds);
    return items.map((item, i) => {
      const { path, value_hash } = check.object(item, `/items/${i}`);
      return {
        path: parseHash(check.hash(path, `/items/${i}/path`)),
        valueHash: parseHash(check.hash(value_hash, `/items/${i}/value_hash`)),
      };
    });
  }

  async #items(
    of: 'descriptors' | 'hashes',
    { version, size }: SetQuestion,
    bounds: RequestBounds,
  ): Promise<readonly Json[]> {
    const { maxBytes, json } = itemsLimits(size, of);
    const path = `/registry/${version}/set${of === 'hashes' ? '/hashes' : ''}`;
    const { bytes } = await this.#transport.get(path, { ...bounds, maxBytes, accept: 'json' });
    const items = check.array(check.object(parseJsonBytes(bytes, json), '').items, '/items', {
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
    });
    if (items.length === size) return items;
    throw new RegistryError(
      'invalid_proof',
      `expected the ${size} items under the set root of version ${version}, each path once, got ${items.length}`,
      { details: { version } },
    );
  }

  /** With its proof, of presence or of absence. Throws `invalid_request` for a key that cannot exist. */
  async descriptor(
    { version, kind, id }: { version: number; kind: string; id: string },
    bounds: RequestBounds = {},
  ): Promise<ServedDescriptor> {
    const request = new Check('invalid_request');
    const key = `${request.text(kind, '/kind', KIND)}/${request.text(id, '/id', ID)}`;
    const options = { ...bounds, maxBytes: MAX_ENTRY_BYTES, accept: 'json' } as const;
    const { bytes } = await this.#transport.get(
      `/registry/${version}/descriptors/${key}?proof=1`,
      options,
    );
    const object = check.object(parseJsonBytes(bytes, DESCRIPTOR_LIMITS), '');
    return {
      branch: decodeSetProof(readSetProof(object.proof ?? null, '/proof')),
      descriptor:
        (object.descriptor ?? null) === null
          ? null
          : readDescriptor(object.descriptor, '/descriptor'),
    };
  }

  async #proof(path: string, bounds: RequestBounds): Promise<readonly Uint8Array[]> {
    const options = { ...bounds, maxBytes: MAX_HEAD_BYTES, accept: 'json' } as const;
    const { bytes } = await shown(this.#transport.get(path, options), path);
    const { proof } = check.object(parseJsonBytes(bytes), '');
    return check
      .array(proof, '/proof', { min: 0, max: MAX_PROOF_HASHES })
      .map((hash, i) => readTreeHash(hash, `/proof/${i}`));
  }

  stream(after: number, bounds: RequestBounds): Promise<ReadableStream<Uint8Array>> {
    return this.#transport.open(`/registry/stream?after=${after}`, bounds);
  }
}

/** What a checkpoint claims must be there: `not_found` is no answer, and proves nothing. */
export async function shown<T>(answer: Promise<T>, what: string): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    if (!(cause instanceof RegistryError) || cause.code !== 'not_found') throw cause;
    throw new RegistryError('unexpected_answer', `expected an answer to ${what}, got not found`, {
      cause,
    });
  }
}

/** The answer to a commit. Throws `unexpected_answer`. */
export function readHead(bytes: Uint8Array): ToldHead {
  const object = check.object(parseJsonBytes(bytes), '');
  return {
    version: check.integer(object.version, '/version', { min: 0 }),
    entryHash: check.hash(object.entry_hash, '/entry_hash'),
  };
}

function assertWhole({ version, leaf, bytes }: ServedEntry): ServedWhole {
  if (bytes.payload !== null) return { version, leaf, bytes };
  throw new RegistryError(
    'unexpected_answer',
    `expected entry ${version} with its payload, or a refusal, got one without`,
    { details: { version } },
  );
}

function readTreeHash(value: Json, pointer: string): Uint8Array {
  const text = check.base64(value, pointer, 32);
  return decodeBase64(text) ?? check.fail(pointer, 'base64', text);
}

function readDescriptor(value: Json | undefined, pointer: string): Descriptor {
  const object = check.object(value, pointer);
  return {
    kind: check.text(object.kind, `${pointer}/kind`, KIND),
    id: check.text(object.id, `${pointer}/id`, ID),
    spec: check.object(object.spec, `${pointer}/spec`),
  };
}

/** At most a page of lines, without the one that was cut off; the last line of a whole answer must end. */
function splitLines(bytes: Uint8Array, isCut: boolean): readonly Uint8Array[] {
  const lines: Uint8Array[] = [];
  let start = 0;
  for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
    if (lines.length === PAGE_ENTRIES)
      throw unexpectedPage(`at most ${PAGE_ENTRIES} entries`, 'more');
    lines.push(bytes.subarray(start, end));
    start = end + 1;
  }
  if (start < bytes.length && !isCut)
    throw unexpectedPage('lines that end', 'a page that stops inside one');
  if (isCut && lines.length === 0)
    throw unexpectedPage(`an entry within ${MAX_PAGE_BYTES} bytes`, 'a longer line');
  return lines;
}

function unexpectedPage(expected: string, got: string): RegistryError {
  return new RegistryError('unexpected_answer', `expected ${expected}, got ${got}`);
}
