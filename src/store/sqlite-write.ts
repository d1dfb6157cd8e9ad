/** The writes of the store's contract, as statements inside the lane's transaction. */
import type Database from 'better-sqlite3';
import type { Approval } from '../core/approval.ts';
import { type Hash, parseHash } from '../core/hash.ts';
import type { Answer, Answers, Write } from './lane-messages.ts';
import { prepareAddNode } from './sqlite-nodes.ts';
import { RetentionWriter, STEP_MS } from './sqlite-retention.ts';
import {
  type AppendEntry,
  type AppendOutcome,
  type DescriptorChange,
  EMPTY_VERSION,
  type StoredProposal,
} from './store.ts';

export class SqliteWriter {
  readonly #sql: ReturnType<typeof prepare>;
  readonly #retention: RetentionWriter;

  constructor(db: Database.Database) {
    this.#sql = prepare(db);
    this.#retention = new RetentionWriter(db);
  }

  apply(write: Write): Answer {
    switch (write.type) {
      case 'append':
        return this.#append(write.expected, write.entries);
      case 'put_proposal':
        return this.#putProposal(write.proposal);
      case 'put_approval':
        return this.#putApproval(write.payloadB3, write.approval, write.isReplacing);
      case 'drop_proposals':
        for (const payloadB3 of write.payloadB3s) this.#sql.dropProposal.run(parseHash(payloadB3));
        return 'dropped';
      case 'drop_expired':
        return this.#dropExpired(write.before);
      case 'put_checkpoint':
        this.#sql.keepCheckpoint.run(write.note);
        return 'kept';
      case 'set_oldest':
        this.#retention.setOldest(write.oldest);
        return 'set';
      case 'prune_step':
        return this.#retention.pruneStep();
    }
  }

  /** As many as fit into some milliseconds, and always one: a payload may be a megabyte. */
  #dropExpired(before: string): number {
    const end = performance.now() + STEP_MS;
    let dropped = 0;
    for (const arrival of this.#sql.expired.all(before)) {
      this.#sql.dropArrival.run(arrival);
      dropped++;
      if (performance.now() >= end) break;
    }
    return dropped;
  }

  #append(expected: number, entries: readonly AppendEntry[]): AppendOutcome {
    const head = this.#sql.head.get() ?? EMPTY_VERSION;
    if (head !== expected) return { outcome: 'conflict', head };
    for (const entry of entries) this.#appendEntry(entry);
    return { outcome: 'appended', head: entries.at(-1)?.version ?? head };
  }

  #appendEntry(entry: AppendEntry): void {
    const payloadB3 = parseHash(entry.payloadB3);
    this.#sql.addEntry.run(
      entry.version,
      parseHash(entry.entryHash),
      payloadB3,
      entry.type,
      entry.expiresAt,
      entry.leaf,
      entry.approvals,
      entry.payload,
    );
    for (const { level, index, hash } of entry.nodes) this.#sql.addNode.run(level, index, hash);
    for (const change of entry.changes) this.#change(entry.version, change);
    if (entry.erases !== undefined) this.#retention.erase(entry.erases, entry.version);
    this.#sql.dropProposal.run(payloadB3);
  }

  #change(version: number, { kind, id, bytes, valueHash }: DescriptorChange): void {
    const known = this.#sql.descriptor.get(kind, id);
    if (known !== undefined) this.#sql.endSpan.run(version, known);
    if (bytes === null || valueHash === null) return;
    const descriptor = known ?? this.#sql.addDescriptor.run(kind, id).lastInsertRowid;
    this.#sql.addSpan.run(descriptor, version, valueHash, bytes);
  }

  #putProposal(proposal: StoredProposal): Answers['put_proposal'] {
    const payloadB3 = parseHash(proposal.payloadB3);
    const isCommitted = this.#sql.committed.get(payloadB3) !== undefined;
    if (isCommitted || this.#sql.proposal.get(payloadB3) !== undefined) return 'known';
    const { receivedAt, expiresAt, payload } = proposal;
    this.#sql.addProposal.run(payloadB3, receivedAt, expiresAt, payload);
    for (const approval of proposal.approvals)
      this.#putApproval(proposal.payloadB3, approval, false);
    return 'added';
  }

  #putApproval(
    payloadB3: Hash,
    { signer_id, algo, sig, signed_at }: Approval,
    isReplacing: boolean,
  ): Answers['put_approval'] {
    const proposal = this.#sql.proposal.get(parseHash(payloadB3));
    if (proposal === undefined) return 'no_proposal';
    const { addApproval, replaceApproval } = this.#sql;
    const put = isReplacing ? replaceApproval : addApproval;
    const { changes } = put.run(proposal, signer_id, algo, sig, signed_at);
    return changes === 1 ? 'added' : 'known';
  }
}

function prepare(db: Database.Database) {
  type Bytes = Uint8Array;
  type Row = number | bigint;
  return {
    head: db.prepare<[], number>('SELECT max(version) FROM entries').pluck(),
    committed: db
      .prepare<[Bytes], number>('SELECT version FROM entries WHERE payload_b3 = ?')
      .pluck(),
    addEntry: db.prepare<[number, Bytes, Bytes, string, string, Bytes, Bytes, Bytes]>(
      `INSERT INTO entries (version, entry_hash, payload_b3, type, expires_at, leaf, approvals, payload)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    addNode: prepareAddNode(db),
    keepCheckpoint: db.prepare<[string]>(
      `INSERT INTO checkpoint (only, note) VALUES (1, ?)
       ON CONFLICT (only) DO UPDATE SET note = excluded.note`,
    ),
    descriptor: db
      .prepare<[string, string], number>(
        'SELECT descriptor FROM descriptors WHERE kind = ? AND id = ?',
      )
      .pluck(),
    addDescriptor: db.prepare<[string, string]>('INSERT INTO descriptors (kind, id) VALUES (?, ?)'),
    endSpan: db.prepare<[number, Row]>(
      'UPDATE spans SET end_version = ? WHERE descriptor = ? AND end_version IS NULL',
    ),
    addSpan: db.prepare<[Row, number, Bytes, Bytes]>(
      'INSERT INTO spans (descriptor, set_version, value_hash, bytes) VALUES (?, ?, ?, ?)',
    ),
    proposal: db
      .prepare<[Bytes], number>('SELECT arrival FROM proposals WHERE payload_b3 = ?')
      .pluck(),
    addProposal: db.prepare<[Bytes, string, string, Bytes]>(
      'INSERT INTO proposals (payload_b3, received_at, expires_at, payload) VALUES (?, ?, ?, ?)',
    ),
    dropProposal: db.prepare<[Bytes]>('DELETE FROM proposals WHERE payload_b3 = ?'),
    expired: db
      .prepare<[string], number>('SELECT arrival FROM proposals WHERE expires_at < ?')
      .pluck(),
    dropArrival: db.prepare<[number]>('DELETE FROM proposals WHERE arrival = ?'),
    addApproval: db.prepare<[number, string, string, string, string]>(
      `INSERT INTO approvals (proposal, signer_id, algo, sig, signed_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (proposal, signer_id) DO NOTHING`,
    ),
    replaceApproval: db.prepare<[number, string, string, string, string]>(
      `INSERT INTO approvals (proposal, signer_id, algo, sig, signed_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (proposal, signer_id)
       DO UPDATE SET algo = excluded.algo, sig = excluded.sig, signed_at = excluded.signed_at`,
    ),
  };
}
