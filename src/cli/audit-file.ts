/**
 * What an audit verified so far, as a file that an interrupted one goes on from. The set is kept by its
 * root alone: it is asked for again, and must give it. The file is believed as trusted state is.
 */
import {
  encodeKept,
  encodeKeptChain,
  encodeKeptPayloads,
  readAll,
  readKept,
  readKeptChain,
  readKeptPayloads,
  readTreeHash,
} from '../client/kept-text.ts';
import { encodeBase64, encodeUtf8 } from '../core/bytes.ts';
import { type Json, parseCanonical } from '../core/canonical.ts';
import { Check } from '../core/check.ts';
import { RegistryError } from '../core/error.ts';
import type { JsonLimits } from '../core/json-scan.ts';
import { TILE_WIDTH } from '../core/tlog/tiles.ts';
import { type ErasureState, NO_ERASURES } from './audit-erasures.ts';
import type { AuditState } from './audit-registry.ts';
import { CommittedPayloads } from './audit-replay.ts';
import { createFileTrust } from './trust-file.ts';

const SCHEMA = 'quorate/audit/v2';
/** Of a program that knew of nothing gone. */
const BEFORE = 'quorate/audit/v1';
const LIMITS: JsonLimits = { maxDepth: 40, maxTokens: 100_000_000 };

const check = new Check('storage_damaged');

export interface AuditFile {
  /** `undefined` when there is no file yet. Throws `storage_damaged`. */
  load(): Promise<AuditState | undefined>;
  /** Replaces the file atomically; durable when it resolves. */
  save(state: AuditState): Promise<void>;
}

export function createAuditFile(path: string): AuditFile {
  const file = createFileTrust(path);
  return {
    load: async () => {
      const text = await file.load();
      return text === undefined ? undefined : decodeAuditState(text, path);
    },
    save: (state) => file.save(encodeAuditState(state)),
  };
}

export function encodeAuditState({ replay, open, counts }: AuditState): string {
  return encodeKept(SCHEMA, {
    ...encodeKeptChain(replay),
    committed: encodeKeptPayloads(replay.committed.entries),
    counts,
    erasures: {
      found: replay.erasures.found,
      waiting: replay.erasures.waiting,
    },
    open: open.map((hashes) => hashes.map(encodeBase64)),
  });
}

/** Throws `storage_damaged`. */
export function decodeAuditState(text: string, path: string): AuditState {
  try {
    return readDocument(parseCanonical(encodeUtf8(text.trimEnd()), LIMITS));
  } catch (cause) {
    const why = cause instanceof RegistryError ? cause.message : String(cause);
    throw new RegistryError(
      'storage_damaged',
      `expected what an audit kept in ${path}, got another text: ${why}; delete it to begin again`,
      { cause },
    );
  }
}

function readDocument(document: Json): AuditState {
  const schema = check.literal(check.object(document, '').schema, '/schema', SCHEMA, BEFORE);
  const isBefore = schema === BEFORE;
  const members = ['committed', 'counts', 'open'];
  const state = readKept(document, isBefore ? members : [...members, 'erasures']);
  const committed = new CommittedPayloads(readKeptPayloads(state.committed, '/state/committed'));
  return {
    replay: {
      ...readKeptChain(state),
      committed,
      erasures: isBefore ? NO_ERASURES : readErasures(state.erasures),
    },
    open: readAll(state.open, '/state/open', (level, pointer) =>
      check
        .array(level, pointer, { min: 0, max: TILE_WIDTH - 1 })
        .map((hash, i) => readTreeHash(hash, `${pointer}/${i}`)),
    ),
    counts: readCounts(state.counts, isBefore),
  };
}

function readErasures(value: Json | undefined): ErasureState {
  const { found, waiting } = check.members(value, '/state/erasures', ['found', 'waiting']);
  const pair = (each: Json, pointer: string) => check.array(each, pointer, { min: 2, max: 2 });
  const version = (each: Json | undefined, pointer: string) =>
    check.integer(each, pointer, { min: 1 });
  return {
    found: readAll(found, '/state/erasures/found', (each, pointer) => {
      const [erased, by] = pair(each, pointer);
      return [version(erased, `${pointer}/0`), version(by, `${pointer}/1`)] as const;
    }),
    waiting: readAll(waiting, '/state/erasures/waiting', (each, pointer) => {
      const [at, hash] = pair(each, pointer);
      return [version(at, `${pointer}/0`), check.hash(hash, `${pointer}/1`)] as const;
    }),
  };
}

function readCounts(value: Json | undefined, isBefore: boolean): AuditState['counts'] {
  const members = ['approvals', 'entries', 'governances'];
  const counts = check.members(value, '/state/counts', isBefore ? members : [...members, 'pruned']);
  return {
    entries: check.integer(counts.entries, '/state/counts/entries', { min: 1 }),
    approvals: check.integer(counts.approvals, '/state/counts/approvals', { min: 1 }),
    governances: check.integer(counts.governances, '/state/counts/governances', { min: 1 }),
    pruned: isBefore ? 0 : check.integer(counts.pruned, '/state/counts/pruned', { min: 0 }),
  };
}
