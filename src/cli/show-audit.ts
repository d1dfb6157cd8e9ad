/** What an audit verified, as text for people. Pure. */
import { formatTime } from '../core/time.ts';
import type { AuditSummary, CheckpointSummary } from './audit.ts';
import type { Context } from './context.ts';
import { plural, table } from './text.ts';

export function showAuditSummary(summary: AuditSummary, { style }: Pick<Context, 'style'>): string {
  const { rows, nodes, tiles, checkpoint } = summary;
  return [
    style('good', `verified ${summary.origin}`),
    table([
      ['registry', summary.registry],
      ['head', `version ${summary.version}, ${summary.entry_hash}`],
      ['committed at', summary.committed_at],
      ['entries', String(summary.entries)],
      ['approvals', String(summary.approvals)],
      ...(summary.pruned === 0 ? [] : [['not verified', showPruned(summary.pruned)]]),
      ...summary.erased.map((each) => ['erased', showErased(each)]),
      ['governance', `version ${summary.governances}, ${summary.threshold} of ${summary.signers}`],
      ['descriptors', `${summary.descriptors}, set root ${summary.set_root}`],
      ['checkpoint', checkpoint === null ? 'none was kept' : showCheckpoint(checkpoint)],
      ['witnesses', showWitnesses(checkpoint)],
      ...(rows === null ? [] : [['rows', `${rows}, as the entries give them`]]),
      ...(nodes === null ? [] : [['tree', `${nodes} nodes, as the leaves give them`]]),
      ...(tiles === null ? [] : [['tiles', `${tiles}, as the leaves give them`]]),
    ]),
  ].join('\n');
}

function showPruned(count: number): string {
  return `the approvals and changes of ${plural(count, 'entry', 'entries')} that were pruned: only their leaves are there`;
}

function showErased({ version, erased_by }: AuditSummary['erased'][number]): string {
  return `version ${version}, by version ${erased_by}`;
}

function showCheckpoint({ size, root, log_keys }: CheckpointSummary): string {
  return `${plural(size, 'entry', 'entries')}, root ${root}, signed by ${log_keys.join(', ')}`;
}

function showWitnesses(checkpoint: CheckpointSummary | null): string {
  const { cosigned = null, fresh_at = null } = checkpoint ?? {};
  if (cosigned === null) return 'not asked about: --witness-policy demands them';
  if (fresh_at === null) return 'none demanded by the policy';
  return `${cosigned.join(', ')}; a quorum of them saw it at ${formatTime(fresh_at * 1000)}`;
}
