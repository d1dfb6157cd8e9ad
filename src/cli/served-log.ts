/**
 * A log as an auditor asks a service for it: page by page its entries, and the tiles and entry bundles
 * that stand for the same leaves. The next pages are on their way while one is judged.
 */
import { Answers, MAX_PAGE_BYTES } from '../client/answers.ts';
import { notAccepted, oldestOf } from '../client/pruned-gap.ts';
import type { Transport } from '../client/transport.ts';
import { isEqualBytes } from '../core/bytes.ts';
import { RegistryError } from '../core/error.ts';
import { decodeLeaf, type EntryBytes, type ErasedBytes } from '../core/leaf.ts';
import {
  decodeBundle,
  decodeTile,
  formatTileName,
  TILE_WIDTH,
  type TileName,
} from '../core/tlog/tiles.ts';
import type { AuditedBytes } from './audit-entry.ts';

/** Leaves of one tile, or of what there is of the last one. */
export interface ServedPage {
  readonly from: number;
  readonly entries: readonly AuditedBytes[];
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
/** In the place of a payload. */
const ERASED = Buffer.from('null');

export interface ServedLogOptions {
  readonly transport: Transport;
  readonly signal: AbortSignal;
  /** Leaves alone will do where the entries were pruned; else they are refused with `pruned`. */
  readonly isPrunedAccepted: boolean;
  /** Below it leaves alone will do in any case. Default: 0. */
  readonly neededFrom?: number;
}

export class ServedLog {
  readonly #transport: Transport;
  readonly #signal: AbortSignal;
  readonly #isPrunedAccepted: boolean;
  readonly #neededFrom: number;
  readonly #answers: Answers;

  constructor({ transport, signal, isPrunedAccepted, neededFrom = 0 }: ServedLogOptions) {
    this.#transport = transport;
    this.#signal = signal;
    this.#isPrunedAccepted = isPrunedAccepted;
    this.#neededFrom = neededFrom;
    this.#answers = new Answers(transport);
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
      const page = this.#page(next, { width: Math.min(TILE_WIDTH, size - next), size });
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

  /** One leaf, with what leads from it to the root of the first `size`. */
  async leaf(place: { readonly version: number; readonly size: number }): Promise<{
    readonly leaf: Uint8Array;
    readonly proof: readonly Uint8Array[];
  }> {
    const bounds = { signal: this.#signal };
    const leaf = await this.#answers.leaf(place, bounds);
    return { leaf, proof: await this.#answers.inclusionProof(place, bounds) };
  }

  async #page(
    from: number,
    { width, size }: { readonly width: number; readonly size: number },
  ): Promise<ServedPage> {
    const index = from / TILE_WIDTH;
    const [recordHashes, leaves, lines] = await Promise.all([
      this.tile({ level: 0, index, width }),
      this.#bundle(index, width),
      this.#linesLeft(from, { count: width, size }),
    ]);
    const skipped = width - lines.length;
    const entries: AuditedBytes[] = [];
    for (const [i, leaf] of leaves.entries())
      entries.push(
        i < skipped
          ? await this.#pruned(leaf, from + i)
          : splitEntry(lines[i - skipped], leaf, from + i),
      );
    return { from, entries, recordHashes };
  }

  /** Of what was pruned the leaf is left, and of what set the governance all of it. */
  async #pruned(leaf: Uint8Array, version: number): Promise<AuditedBytes> {
    const { type } = decodeLeaf(leaf);
    if (type !== 'genesis' && type !== 'governance')
      return { leaf, payload: null, approvals: null };
    const { bytes } = await this.#answers.entry(version, { signal: this.#signal });
    if (isEqualBytes(bytes.leaf, leaf)) return bytes;
    throw otherLeaf(version);
  }

  /** The last of `count` lines, as many as were not pruned. */
  async #linesLeft(
    from: number,
    { count, size }: { readonly count: number; readonly size: number },
  ): Promise<readonly Uint8Array[]> {
    try {
      return await this.#lines(from, count);
    } catch (refusal) {
      const oldest = oldestOf(refusal, { from, size });
      if (oldest === undefined) throw refusal;
      if (!this.#isPrunedAccepted && oldest > this.#neededFrom)
        throw notAccepted(refusal, { from: Math.max(from, this.#neededFrom), oldest });
      const left = from + count - oldest;
      return left <= 0 ? [] : this.#lines(oldest, left);
    }
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
function splitEntry(
  line: Uint8Array | undefined,
  leaf: Uint8Array,
  version: number,
): EntryBytes | ErasedBytes {
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
  if (!isWhole) throw otherLeaf(version);
  const approvals = Uint8Array.from(text.subarray(BEFORE_APPROVALS.length, at));
  const payload = Uint8Array.from(text.subarray(at + middle.length, -1));
  return { approvals, leaf, payload: isEqualBytes(payload, ERASED) ? null : payload };
}

function otherLeaf(version: number): RegistryError {
  return new RegistryError(
    'invalid_entry',
    `entry ${version}: expected the leaf of its entry bundle, got an entry with another, or none`,
    { details: { version } },
  );
}
