/**
 * A log as an auditor asks a service for it: page by page its entries, and the tiles and entry bundles
 * that stand for the same leaves. The next pages are on their way while one is judged.
 */
import { MAX_PAGE_BYTES } from '../client/answers.ts';
import type { Transport } from '../client/transport.ts';
import { isEqualBytes } from '../core/bytes.ts';
import { RegistryError } from '../core/error.ts';
import type { EntryBytes } from '../core/leaf.ts';
import {
  decodeBundle,
  decodeTile,
  formatTileName,
  TILE_WIDTH,
  type TileName,
} from '../core/tlog/tiles.ts';

/** Leaves of one tile, or of what there is of the last one. */
export interface ServedPage {
  readonly from: number;
  readonly entries: readonly EntryBytes[];
  /** The level-0 tile's, in its order. */
  readonly recordHashes: readonly Uint8Array[];
}

/** Pages asked for at once. */
const AHEAD = 4;
const MAX_TILE_BYTES = TILE_WIDTH * 32;
/** C2SP: the length of a leaf stands in two bytes. */
const MAX_BUNDLE_BYTES = TILE_WIDTH * (2 + 0xffff);
const NEWLINE = 0x0a;
const BEFORE_APPROVALS = Buffer.from('{"approvals":');
const BEFORE_LEAF = Buffer.from(',"leaf":');
const BEFORE_PAYLOAD = Buffer.from(',"payload":');
const END = Buffer.from('}');

export class ServedLog {
  readonly #transport: Transport;
  readonly #signal: AbortSignal;

  constructor(transport: Transport, signal: AbortSignal) {
    this.#transport = transport;
    this.#signal = signal;
  }

  /** Leaves `from` (a multiple of 256) up to, not including, `size`. Throws `invalid_entry` where bundle and entry differ. */
  async *pages({
    from,
    size,
  }: {
    readonly from: number;
    readonly size: number;
  }): AsyncGenerator<ServedPage> {
    const asked: Promise<ServedPage>[] = [];
    let next = from;
    const ask = () => {
      if (next >= size) return;
      const page = this.#page(next, Math.min(TILE_WIDTH, size - next));
      // Awaited in its turn, or not at all when one before it fails.
      page.catch(() => undefined);
      asked.push(page);
      next += TILE_WIDTH;
    };
    while (asked.length < AHEAD && next < size) ask();
    for (let page = asked.shift(); page !== undefined; page = asked.shift()) {
      const served = await page;
      ask();
      yield served;
    }
  }

  async tile(name: TileName & { readonly level: number }): Promise<readonly Uint8Array[]> {
    const { bytes, width } = await this.#tile(name, MAX_TILE_BYTES);
    return decodeTile(bytes, width).slice(0, name.width);
  }

  async #page(from: number, width: number): Promise<ServedPage> {
    const index = from / TILE_WIDTH;
    const [recordHashes, leaves, lines] = await Promise.all([
      this.tile({ level: 0, index, width }),
      this.#bundle(index, width),
      this.#lines(from, width),
    ]);
    const entries = leaves.map((leaf, i) => splitEntry(lines[i], leaf, from + i));
    return { from, entries, recordHashes };
  }

  async #bundle(index: number, width: number): Promise<readonly Uint8Array[]> {
    const name: TileName = { level: 'entries', index, width };
    const found = await this.#tile(name, MAX_BUNDLE_BYTES);
    return decodeBundle(found.bytes, found.width).slice(0, width);
  }

  /** C2SP tlog-tiles: a partial tile may be gone once the full one stands. */
  async #tile(name: TileName, maxBytes: number): Promise<{ bytes: Uint8Array; width: number }> {
    const options = { maxBytes, accept: 'octet-stream', signal: this.#signal } as const;
    const get = async (width: number) => {
      const path = `/tile/${formatTileName({ ...name, width })}`;
      return { bytes: (await this.#transport.get(path, options)).bytes, width };
    };
    try {
      return await get(name.width);
    } catch (error) {
      const isGone = error instanceof RegistryError && error.code === 'not_found';
      if (isGone && name.width < TILE_WIDTH) return get(TILE_WIDTH);
      throw error;
    }
  }

  /** Entries as served, one a line; asked for again where an answer was cut short. */
  async #lines(from: number, count: number): Promise<readonly Uint8Array[]> {
    const lines: Uint8Array[] = [];
    while (lines.length < count) {
      const path = `/registry/entries?from=${from + lines.length}&limit=${count - lines.length}`;
      const { bytes } = await this.#transport.get(path, {
        maxBytes: MAX_PAGE_BYTES,
        accept: 'ndjson',
        whenLarger: 'cut',
        signal: this.#signal,
      });
      const before = lines.length;
      let start = 0;
      for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
        lines.push(bytes.subarray(start, end));
        start = end + 1;
      }
      if (lines.length === before || lines.length > count)
        throw new RegistryError(
          'unexpected_answer',
          `expected entries from version ${from + before} on, got ${lines.length - before} in a page for ${count - before}`,
        );
    }
    return lines;
  }
}

/**
 * The parts of a served entry, by the leaf that its bundle has. Where the leaf stands is unambiguous:
 * approvals are read strictly, and no text in them can hold a quotation mark.
 */
function splitEntry(line: Uint8Array | undefined, leaf: Uint8Array, version: number): EntryBytes {
  const text = Buffer.from(
    line?.buffer ?? leaf.buffer,
    line?.byteOffset ?? 0,
    line?.byteLength ?? 0,
  );
  const middle = Buffer.concat([BEFORE_LEAF, leaf, BEFORE_PAYLOAD]);
  const at = text.indexOf(middle);
  const isWhole =
    at > BEFORE_APPROVALS.length &&
    isEqualBytes(text.subarray(0, BEFORE_APPROVALS.length), BEFORE_APPROVALS) &&
    isEqualBytes(text.subarray(-1), END);
  if (!isWhole)
    throw new RegistryError(
      'invalid_entry',
      `entry ${version}: expected the leaf of its entry bundle, got an entry with another, or none`,
      { details: { version } },
    );
  return {
    approvals: Uint8Array.from(text.subarray(BEFORE_APPROVALS.length, at)),
    leaf,
    payload: Uint8Array.from(text.subarray(at + middle.length, -1)),
  };
}
