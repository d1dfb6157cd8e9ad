/** What each operator act does: over the registry and its store, never through the write path. */
import { resolve } from 'node:path';
import { encodeBase64 } from '../../core/bytes.ts';
import { RegistryError } from '../../core/error.ts';
import { formatTime } from '../../core/time.ts';
import { readSignedCheckpoint } from '../../core/tlog/note-signatures.ts';
import type { BuildInfo } from '../../http/deps.ts';
import type { ActAnswer, ActRequest, OperatorActs } from '../../http/operator.ts';
import type { RegistryTimers } from '../../registry/options.ts';
import type { Registry } from '../../registry/registry.ts';
import type { Store, StoreSizes } from '../../store/store.ts';
import type { BlobCollector } from '../blobs/collector.ts';
import type { PruneAsked, RetentionRun } from '../retention/retention.ts';
import type { Snapshot, Snapshots } from '../snapshot/snapshots.ts';
import type { Freeze } from './freeze.ts';

/** The newest record of the audit log. */
export interface AuditHead {
  readonly seq: number;
  readonly hash: string;
}

export interface ActParts {
  readonly registry: Pick<Registry, 'head' | 'checkpoint' | 'readiness' | 'idle'>;
  readonly store: Pick<Store, 'compact' | 'storageBytes'>;
  readonly freeze: Freeze;
  readonly snapshots: Snapshots;
  readonly retention?: Pick<RetentionRun, 'prune'> | undefined;
  /** `undefined`: there are no blobs. */
  readonly collector?: Pick<BlobCollector, 'collect'> | undefined;
  /** Takes the configuration up again; answers the keys that changed. Throws `invalid_request` with every violation. */
  readonly reload: () => Promise<readonly string[]>;
  readonly auditHead?: (() => AuditHead | null) | undefined;
  readonly build: BuildInfo;
  readonly timers: RegistryTimers;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Since the start. */
  readonly uptimeSeconds: () => number;
}

/** A clock that is a little wrong drops nothing that can still be committed. */
const EXPIRED_FOR_MS = 3_600_000;
/** How long a freeze waits for the commits before it. */
const SETTLE_MS = 10_000;

export function createActs(parts: ActParts): OperatorActs {
  return {
    status: () => status(parts),
    freeze: ({ reason }) => frozen(parts, reason),
    thaw: ({ reason }) => thawed(parts, reason),
    reload: async () => answer(parts, { changed: [...(await parts.reload())] }),
    snapshot: async ({ signal }) => snapshotAnswer(await parts.snapshots.make(signal)),
    compact: () => compact(parts),
    prune: (asked) => prune(parts, asked),
    collect: (asked) => collect(parts, asked),
  };
}

async function status(parts: ActParts) {
  const { registry, store, freeze, snapshots, build } = parts;
  const { ready, writeReady, checks } = registry.readiness();
  const checkpoint = registry.checkpoint();
  const head = registry.head()?.object;
  return {
    program: build.version,
    uptime_seconds: Math.floor(parts.uptimeSeconds()),
    ready,
    write_ready: writeReady,
    checks: checks.map(({ name, isOk, missing }) => ({ name, ok: isOk, missing })),
    frozen: frozenJson(freeze),
    head: head === undefined ? null : { ...head },
    checkpoint_size: checkpoint?.size ?? null,
    storage_bytes: await store.storageBytes(),
    snapshot: snapshots.state && { ...snapshots.state },
    audit: auditJson(parts),
  };
}

/**
 * What was accepted before is let finish, so that the version in the answer is the last one until a thaw.
 * A disk that does not answer must not hold back the operator who froze because of it.
 */
async function frozen(parts: ActParts, reason: string): Promise<ActAnswer> {
  const changed = await parts.freeze.freeze(reason);
  const settled = await isIdleSoon(parts);
  return answer(parts, { changed, settled, frozen: frozenJson(parts.freeze) });
}

async function thawed(parts: ActParts, reason: string): Promise<ActAnswer> {
  const changed = await parts.freeze.thaw(reason);
  return answer(parts, { changed, frozen: frozenJson(parts.freeze) });
}

async function isIdleSoon({ registry, timers }: ActParts): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<false>();
  const timer = timers.setTimeout(() => resolve(false), SETTLE_MS);
  try {
    return await Promise.race([registry.idle().then(() => true), promise]);
  } finally {
    timers.clearTimeout(timer);
  }
}

async function compact(parts: ActParts): Promise<ActAnswer> {
  const expiredBefore = formatTime(parts.now() - EXPIRED_FOR_MS);
  const done = await parts.store.compact({ expiredBefore });
  return answer(parts, {
    dropped_proposals: done.droppedProposals,
    before: sizesJson(done.before),
    after: sizesJson(done.after),
    free_bytes: done.freeBytes,
    log_folded: done.isLogFolded,
  });
}

async function collect(
  parts: ActParts,
  { signal }: Pick<ActRequest, 'signal'>,
): Promise<ActAnswer> {
  if (parts.collector === undefined)
    throw new RegistryError(
      'invalid_request',
      'expected a server that keeps blobs, got one that does not: there is nothing to collect',
    );
  const { blobs, bytes } = await parts.collector.collect(signal);
  return answer(parts, { blobs, bytes });
}

async function prune(parts: ActParts, { oldest, signal }: PruneAsked): Promise<ActAnswer> {
  if (parts.retention === undefined)
    throw new RegistryError(
      'invalid_request',
      'expected a registry on disk, got one in memory: no snapshot could hold what is pruned',
    );
  const pruned = await parts.retention.prune({ oldest, signal });
  return answer(parts, {
    before: pruned.before,
    oldest: pruned.oldest,
    snapshot: pruned.snapshot,
  });
}

function answer({ registry }: ActParts, body: ActAnswer['body']): ActAnswer {
  const head = registry.head();
  const at = { version: head?.version ?? null, entry_hash: head?.object.entry_hash ?? null };
  return { body: { ...at, ...body }, version: at.version };
}

function snapshotAnswer({ id, header, file, directory, bytes, seconds }: Snapshot): ActAnswer {
  const { version, entryHash } = header;
  return {
    body: {
      id,
      file,
      path: resolve(directory, file),
      version,
      entry_hash: entryHash,
      checkpoint: checkpointJson(header.checkpoint),
      bytes,
      database_bytes: header.bytes,
      seconds,
    },
    version,
  };
}

function checkpointJson(note: string | null) {
  if (note === null) return null;
  const { size, root } = readSignedCheckpoint(note);
  return { size, root: encodeBase64(root) };
}

function frozenJson({ state }: Freeze) {
  return state && { reason: state.reason, since: state.since, kept: state.isKept };
}

function auditJson({ auditHead }: ActParts) {
  const head = auditHead?.();
  return head ? { seq: head.seq, hash: head.hash } : null;
}

function sizesJson({ mainBytes, logBytes }: StoreSizes) {
  return { database_bytes: mainBytes, log_bytes: logBytes };
}
