/** Reads of the log and of the proposals in flight. */
import type Database from 'better-sqlite3';
import type { Approval } from '../core/approval.ts';
import { escapeText, excerpt, RegistryError } from '../core/error.ts';
import { formatHash, type Hash, parseHash } from '../core/hash.ts';
import { PAGE_BYTES } from './paging.ts';
import { plainBytes } from './sqlite-bytes.ts';
import type { StoredEntry, StoredProposal } from './store.ts';

interface EntryRow {
  readonly version: number;
  readonly entry_hash: Uint8Array;
  readonly leaf: Uint8Array;
  readonly payload: Uint8Array;
  readonly approvals: Uint8Array;
}

interface ProposalRow {
  readonly arrival: number;
  readonly payload_b3: Uint8Array;
  readonly payload: Uint8Array;
  readonly received_at: string;
  readonly expires_at: string;
}

type ApprovalRow = Omit<Approval, 'algo'> & { readonly algo: string };

export class EntryReader {
  readonly #sql: ReturnType<typeof prepare>;

  constructor(db: Database.Database) {
    this.#sql = prepare(db);
  }

  head(): StoredEntry | undefined {
    const row = this.#sql.head.get();
    return row && toEntry(row);
  }

  entry(version: number): StoredEntry | undefined {
    const row = this.#sql.entry.get(version);
    return row && toEntry(row);
  }

  entries(range: { readonly from: number; readonly limit: number }): readonly StoredEntry[] {
    const page: StoredEntry[] = [];
    let bytes = 0;
    for (const row of this.#sql.entries.iterate(range.from, range.limit)) {
      if (row.version !== range.from + page.length)
        throw new RegistryError(
          'storage_damaged',
          `expected version ${range.from + page.length} next in the log, got ${row.version}`,
        );
      page.push(toEntry(row));
      bytes += row.leaf.length + row.payload.length + row.approvals.length;
      if (bytes >= PAGE_BYTES) break;
    }
    return page;
  }

  leaves(range: { readonly from: number; readonly limit: number }): readonly Uint8Array[] {
    return this.#sql.leaves.all(range.from, range.limit).map(plainBytes);
  }

  governanceEntries(): readonly StoredEntry[] {
    return this.#sql.governanceEntries.all().map(toEntry);
  }

  committedVersion(payloadB3: Hash): number | undefined {
    // A lookup that a changed byte misleads would let a payload be committed twice: two must agree.
    const hash = parseHash(payloadB3);
    const version = this.#sql.committed.get(hash);
    if (version === this.#sql.committedTwice.get(hash)) return version;
    throw new RegistryError(
      'storage_damaged',
      `expected both indexes of payloads to say which version committed ${payloadB3}, got two answers`,
    );
  }

  proposals(): readonly StoredProposal[] {
    return this.#sql.proposals.all().map((row) => ({
      payloadB3: formatHash(row.payload_b3),
      payload: plainBytes(row.payload),
      receivedAt: row.received_at,
      expiresAt: row.expires_at,
      approvals: this.#sql.approvals.all(row.arrival).map(toApproval),
    }));
  }
}

/** Signatures are checked by whoever counts them; of the algorithm there is only one. */
function toApproval({ algo, ...approval }: ApprovalRow): Approval {
  if (algo === 'ed25519') return { ...approval, algo };
  throw new RegistryError(
    'storage_damaged',
    `expected an approval by ${escapeText(approval.signer_id)} of algo ed25519, got ${excerpt(algo)}`,
  );
}

function toEntry(row: EntryRow): StoredEntry {
  return {
    version: row.version,
    entryHash: formatHash(row.entry_hash),
    leaf: plainBytes(row.leaf),
    payload: plainBytes(row.payload),
    approvals: plainBytes(row.approvals),
  };
}

function prepare(db: Database.Database) {
  const select = 'SELECT version, entry_hash, leaf, payload, approvals FROM entries';
  return {
    head: db.prepare<[], EntryRow>(`${select} ORDER BY version DESC LIMIT 1`),
    entry: db.prepare<[number], EntryRow>(`${select} WHERE version = ?`),
    entries: db.prepare<[number, number], EntryRow>(
      `${select} WHERE version >= ? ORDER BY version LIMIT ?`,
    ),
    leaves: db
      .prepare<[number, number], Uint8Array>(
        'SELECT leaf FROM entries WHERE version >= ? ORDER BY version LIMIT ?',
      )
      .pluck(),
    governanceEntries: db.prepare<[], EntryRow>(
      `${select} WHERE type IN ('genesis', 'governance') ORDER BY version`,
    ),
    committed: db
      .prepare<[Uint8Array], number>(
        'SELECT version FROM entries INDEXED BY sqlite_autoindex_entries_1 WHERE payload_b3 = ?',
      )
      .pluck(),
    committedTwice: db
      .prepare<[Uint8Array], number>(
        'SELECT version FROM entries INDEXED BY entries_payload_twice WHERE payload_b3 = ?',
      )
      .pluck(),
    proposals: db.prepare<[], ProposalRow>(
      'SELECT arrival, payload_b3, payload, received_at, expires_at FROM proposals ORDER BY arrival',
    ),
    approvals: db.prepare<[number], ApprovalRow>(
      'SELECT signer_id, algo, sig, signed_at FROM approvals WHERE proposal = ? ORDER BY arrival',
    ),
  };
}
