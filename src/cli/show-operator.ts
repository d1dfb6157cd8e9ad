/** What an operator socket answers, as text for the operator. Escaped by whoever prints it. */
import type { JsonAnswer } from './operator-socket.ts';
import { plural, relativeTime, table } from './text.ts';

const SECOND_MS = 1000;

/** What a server of another version leaves out is shown as it came. */
export function showOperatorStatus(answer: JsonAnswer): string {
  const { head, frozen, audit, snapshot, checkpoint_size, storage_bytes } = answer;
  const uptimeMs = Number(answer.uptime_seconds) * SECOND_MS;
  return table([
    ['program', `${answer.program}, started ${relativeTime(0, uptimeMs)}`],
    ['reads', answer.ready === true ? 'ready' : 'not ready'],
    ['writes', answer.write_ready === true ? 'ready' : 'not ready'],
    ...missing(answer.checks).map((text) => ['missing', text]),
    ['frozen', frozen === null ? 'no' : showFrozen(objectOf(frozen))],
    ['head', head === null ? 'none: no genesis yet' : showHead(objectOf(head))],
    ['checkpoint', checkpoint_size === null ? 'none' : `of ${checkpoint_size}`],
    ['storage', `${storage_bytes} bytes`],
    ['snapshot', snapshot === null ? 'none is being made' : showProgress(objectOf(snapshot))],
    ...(audit === null ? [] : [['audit', showAudit(objectOf(audit))]]),
  ]);
}

export function showFreeze({ changed, settled, version, frozen: state }: JsonAnswer): string {
  const { reason, since } = objectOf(state);
  const what = changed === true ? 'frozen' : 'was frozen already, and the reason of then stands';
  const at = version === null ? 'before its genesis' : `at version ${version}`;
  const open = settled === false ? '\ncommits from before it are still under way' : '';
  return `${what}: ${at}, since ${since}: ${reason}${open}`;
}

export function showThaw({ changed }: JsonAnswer): string {
  return changed === true ? 'thawed: writes go on' : 'was not frozen: nothing changed';
}

export function showReload({ changed }: JsonAnswer): string {
  const keys = Array.isArray(changed) ? changed : [];
  return keys.length === 0 ? 'reloaded: nothing changed' : `reloaded: ${keys.join(', ')}`;
}

export function showSnapshot({ checkpoint, ...answer }: JsonAnswer): string {
  const { id, path, version, entry_hash, bytes, database_bytes, seconds } = answer;
  const { size, root } = objectOf(checkpoint);
  return table([
    ['snapshot', String(path)],
    ['id', String(id)],
    ['head', `version ${version}, ${entry_hash}`],
    ['checkpoint', checkpoint === null ? 'none was kept yet' : `of ${size}, root ${root}`],
    ['size', `${bytes} bytes, for a database of ${database_bytes}`],
    ['took', `${Number(seconds).toFixed(1)} s, verified`],
  ]);
}

export function showCompaction(answer: JsonAnswer): string {
  const { dropped_proposals, before, after, free_bytes, log_folded } = answer;
  const size = (of: unknown) =>
    `${objectOf(of).database_bytes} bytes, log ${objectOf(of).log_bytes} bytes`;
  return table([
    ['dropped', plural(Number(dropped_proposals), 'expired proposal')],
    ['before', size(before)],
    ['after', size(after)],
    ['free', `${free_bytes} bytes in the database, used by what is written next`],
    ...(log_folded === true ? [] : [['log', 'kept: somebody is reading it']]),
  ]);
}

export function showPruning({ before, oldest, snapshot }: JsonAnswer): string {
  return before === oldest
    ? `nothing to prune: everything from version ${oldest} on is to be kept`
    : `pruned: versions ${before} to ${Number(oldest) - 1}, which ${snapshot} holds; whole from version ${oldest} on`;
}

export function showCollection({ blobs, bytes }: JsonAnswer): string {
  return Number(blobs) === 0
    ? 'nothing to remove: every blob is named, or was put lately'
    : `removed: ${plural(Number(blobs), 'blob')} of ${bytes} bytes`;
}

function missing(checks: unknown): string[] {
  return (Array.isArray(checks) ? checks : [])
    .map(objectOf)
    .filter(({ ok }) => ok === false)
    .map(({ name, missing }) => `${name}: ${missing}`);
}

function showFrozen({ reason, since, kept }: JsonAnswer): string {
  const from = since === null ? '' : `since ${since}: `;
  return `${from}${reason}${kept === false ? ' (not kept: a restart may forget it)' : ''}`;
}

function showHead({ version, entry_hash, committed_at }: JsonAnswer): string {
  return `version ${version}, ${entry_hash}, committed at ${committed_at}`;
}

function showProgress({ phase, done, total }: JsonAnswer): string {
  return `${phase}: ${done} of ${total}`;
}

function showAudit({ seq, hash }: JsonAnswer): string {
  return `record ${seq}, ${hash}`;
}

function objectOf(value: unknown): JsonAnswer {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
