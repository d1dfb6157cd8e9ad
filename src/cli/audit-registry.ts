/**
 * An audit over HTTP: every entry from genesis with the tiles and bundles that stand for it, up to the
 * checkpoint that is served, then the set as it is served. Trusts nothing, and can go on where it ended.
 */
import { Answers } from '../client/answers.ts';
import { askSetBefore } from '../client/set-before.ts';
import type { Transport } from '../client/transport.ts';
import { isEqualBytes } from '../core/bytes.ts';
import { descriptorPath, descriptorValueHash, encodeDescriptor } from '../core/descriptor.ts';
import { RegistryError } from '../core/error.ts';
import type { Previous } from '../core/previous.ts';
import type { Chain } from '../core/rules.ts';
import { SetTree } from '../core/set-tree.ts';
import { isConsistent, isIncluded, recordHash } from '../core/tlog/merkle.ts';
import {
  type NoteVerifier,
  readSignedCheckpoint,
  type SignedCheckpoint,
} from '../core/tlog/note-signatures.ts';
import type { Verifier } from '../core/verifier.ts';
import {
  type AuditCounts,
  type AuditSummary,
  counted,
  NOTHING_COUNTED,
  summaryOf,
} from './audit.ts';
import { type AskWitnesses, assertCheckpointOf } from './audit-checkpoint.ts';
import type { Replayed } from './audit-entry.ts';
import { Replay, type ReplayOptions, type ReplaySource, type ReplayState } from './audit-replay.ts';
import {
  assertSameTile,
  type ComputedTile,
  countTiles,
  type OpenTiles,
  TileLevels,
} from './audit-tiles.ts';
import { ServedLog, type ServedPage } from './served-log.ts';

export interface RegistryAudit extends ReplayOptions {
  readonly verifier: Verifier & NoteVerifier;
  readonly witnesses: AskWitnesses;
  readonly transport: Transport;
  /** Whether leaves alone will do for what was pruned. */
  readonly isPrunedAccepted: boolean;
  /** Where the registry stood when it was verified here before: the audit must come by it. */
  readonly known: Previous | undefined;
  /** Where an audit before this one ended; its set is asked for and must give its root. */
  readonly from: AuditState | undefined;
  /** Called with what has been verified so far, in full, each time about `keepEvery` entries (default 4,096) are, and at the end. */
  readonly onVerified: (state: AuditState) => Promise<void>;
  readonly keepEvery?: number;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

/** What has been verified, without the set's descriptors. */
export interface AuditState {
  readonly replay: ReplayState;
  readonly open: OpenTiles;
  readonly counts: AuditCounts;
}

/** Entries between two states that are kept, at least. */
const KEEP_EVERY = 4096;
const KEPT_SHARE = 16;

/** Throws what `verifyEntry` throws, `invalid_proof` (a tile), `rollback`, `fork`, `unwitnessed`, `stale`. */
export async function auditRegistry(audit: RegistryAudit): Promise<AuditSummary> {
  const answers = new Answers(audit.transport);
  const checkpoint = readSignedCheckpoint(
    await answers.checkpoint({ isFresh: true, signal: audit.signal }),
  );
  assertSameRegistry(audit);
  return new RegistryWalk(audit, { answers, checkpoint }).run();
}

class RegistryWalk {
  readonly #audit: RegistryAudit;
  readonly #answers: Answers;
  readonly #checkpoint: SignedCheckpoint;
  readonly #served: ServedLog;
  readonly #replay: Replay;
  readonly #levels: TileLevels;
  readonly #known: SignedCheckpoint | undefined;
  #counts: AuditCounts;

  constructor(
    audit: RegistryAudit,
    { answers, checkpoint }: { readonly answers: Answers; readonly checkpoint: SignedCheckpoint },
  ) {
    const { from } = audit;
    this.#audit = audit;
    this.#answers = answers;
    this.#checkpoint = checkpoint;
    this.#served = new ServedLog(audit);
    this.#replay = new Replay(audit, this.#source(), from?.replay);
    const size = from?.replay.chain.tree.size ?? 0;
    this.#levels = new TileLevels({ size, open: from?.open ?? [] });
    this.#counts = from?.counts ?? NOTHING_COUNTED;
    this.#known = audit.known && readSignedCheckpoint(audit.known.checkpoint);
    const seen = Math.max(size, this.#known?.size ?? 0);
    if (checkpoint.size < Math.max(seen, 1))
      throw new RegistryError(
        seen === 0 ? 'not_initialised' : 'rollback',
        `expected a checkpoint of ${Math.max(seen, 1)} entries or more, got one of ${checkpoint.size}`,
      );
  }

  async run(): Promise<AuditSummary> {
    const { size } = this.#checkpoint;
    const start = this.#replay.chain?.tree.size ?? 0;
    let keptAt = start;
    // A state ends with a whole tile, or with the log as it was: then its last tile is read again.
    for await (const page of this.#served.pages({ from: start - (start % 256), size })) {
      await this.#add(page, start);
      const done = this.#replay.chain?.tree.size ?? 0;
      this.#audit.onProgress(done, size);
      // What is kept grows with the log, so it is kept less often.
      const every = this.#audit.keepEvery ?? Math.max(KEEP_EVERY, done / KEPT_SHARE);
      if (done - keptAt < every) continue;
      await this.#keep();
      keptAt = done;
    }
    await this.#compareTiles(this.#levels.partial);
    await this.#compareOlder(start);
    const erasures = await this.#replay.end();
    const { chain } = this.#replay;
    if (chain === null) throw new RegistryError('internal', 'expected a chain, got none');
    const checkpoint = await assertCheckpointOf(chain, this.#checkpoint, this.#audit);
    await this.#keep();
    // The entries gave the set root; this is whether the set that is served gives it too.
    await assertServedSet(this.#answers, chain, this.#audit.signal);
    const tiles = countTiles(size);
    return summaryOf(chain, this.#counts, { checkpoint, erasures, rows: null, nodes: null, tiles });
  }

  #source(): ReplaySource {
    const bounds = { signal: this.#audit.signal };
    return {
      setBefore: (chain, { leaf, proposal }) => {
        const after = { root: leaf.set_root, size: leaf.set_size };
        return askSetBefore(this.#answers, { chain, payload: proposal.payload, after }, bounds);
      },
      leafAt: (version) => this.#leafAt(version),
    };
  }

  /** Of the checkpoint's tree, which the walk ends with. */
  async #leafAt(version: number): Promise<Uint8Array> {
    const { size, root } = this.#checkpoint;
    const { leaf, proof } = await this.#served.leaf({ version, size });
    if (isIncluded({ record: recordHash(leaf), index: version, size, proof, root })) return leaf;
    throw new RegistryError(
      'invalid_proof',
      `expected a proof that leaf ${version} is in the checkpoint of ${size} entries, got one that fails`,
      { details: { version } },
    );
  }

  async #add({ from, entries, recordHashes }: ServedPage, start: number): Promise<void> {
    const next = Math.max(from, start);
    const replayed = await this.#replay.add(entries.slice(next - from));
    try {
      for (const [i, { nodes }] of replayed.entries())
        this.#compareLeaf(nodes[0]?.hash, recordHashes[next - from + i], next + i);
      this.#compareKnown(replayed);
      for (const { nodes } of replayed) await this.#compareTiles(this.#levels.add(nodes));
    } catch (error) {
      // An entry before it may have a signature that fails: the first is told.
      await this.#replay.settled();
      throw error;
    }
    this.#counts = counted(this.#counts, replayed);
  }

  #compareLeaf(
    computed: Uint8Array | undefined,
    served: Uint8Array | undefined,
    version: number,
  ): void {
    if (computed !== undefined && served !== undefined && isEqualBytes(computed, served)) return;
    throw new RegistryError(
      'invalid_proof',
      `entry ${version}: expected its leaf's hash in the tile of level 0, got another`,
      { details: { version } },
    );
  }

  /** Trusted state of before is on the way, or there are two histories. */
  #compareKnown(replayed: readonly Replayed[]): void {
    for (const { chain } of replayed) {
      if (chain.tree.size !== this.#known?.size || isEqualBytes(chain.tree.root, this.#known.root))
        continue;
      throw new RegistryError(
        'fork',
        `expected version ${chain.version} as it was verified before, got another history`,
        { details: { version: chain.version } },
      );
    }
  }

  /** The same of trusted state that stands before where this walk began. */
  async #compareOlder(start: number): Promise<void> {
    if (this.#known === undefined || this.#known.size > start) return;
    const [{ size: from, root: fromRoot }, { size, root }] = [this.#known, this.#checkpoint];
    const bounds = { signal: this.#audit.signal };
    const proof = await this.#answers.consistencyProof({ from, size }, bounds);
    if (isConsistent({ from, size, proof, fromRoot, root })) return;
    throw new RegistryError(
      'fork',
      `expected the log to go on from the ${from} entries that were verified before, got another history`,
      { details: { version: from - 1 } },
    );
  }

  async #compareTiles(tiles: readonly ComputedTile[]): Promise<void> {
    for (const tile of tiles) assertSameTile(tile, await this.#served.tile(tile));
  }

  async #keep(): Promise<void> {
    await this.#replay.settled();
    const replay = this.#replay.state;
    if (replay === undefined) return;
    const [open, counts] = [this.#levels.open, this.#counts];
    await this.#audit.onVerified({ replay, open, counts });
  }
}

/** Kept progress is of the registry that is asked about. */
function assertSameRegistry({ from, registry }: RegistryAudit): void {
  const kept = from?.replay.chain.registry;
  if (kept === undefined || registry === undefined || kept === registry) return;
  throw new RegistryError(
    'wrong_registry',
    `expected kept progress of registry ${registry}, got that of ${kept}`,
  );
}

/** Throws `invalid_proof` unless the set served for the head gives its root. */
async function assertServedSet(
  answers: Answers,
  { version, set: { root, size } }: Chain,
  signal: AbortSignal,
): Promise<void> {
  const items = await answers.set({ version, size }, { signal });
  const changes = items.map((item) => ({
    path: descriptorPath(item),
    valueHash: descriptorValueHash(encodeDescriptor(item)),
  }));
  const set = SetTree.EMPTY.with(changes);
  if (set.root === root) return;
  throw new RegistryError(
    'invalid_proof',
    `expected the set at version ${version} to give ${root}, got one that gives ${set.root}`,
    { details: { version } },
  );
}
