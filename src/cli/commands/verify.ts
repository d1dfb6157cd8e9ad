/** `quorate verify`: everything again from genesis, over HTTP or in a database file, and a summary. */
import type { Command } from 'commander';
import { formatTime } from '../../core/time.ts';
import type { AuditSummary, CheckpointSummary } from '../audit.ts';
import { createAuditFile } from '../audit-file.ts';
import { type AuditParts, createAuditParts } from '../audit-parts.ts';
import { auditRegistry } from '../audit-registry.ts';
import type { Context } from '../context.ts';
import { usageError, verified } from '../failure.ts';
import { createTransport } from '../http-log.ts';
import { trustedEnd } from '../old-log.ts';
import type { Progress } from '../progress.ts';
import { plural, table } from '../text.ts';

interface VerifyOptions {
  readonly data?: string;
  readonly resume?: string;
}

export function defineVerify(command: Command, context: Context): void {
  command
    .option(
      '--data <path>',
      'a database file or a data directory, instead of the registry at --url',
    )
    .option('--resume <file>', 'keep what was verified in this file, and go on from it; over HTTP')
    .action((options: VerifyOptions) => verify(context, options));
}

async function verify(context: Context, options: VerifyOptions): Promise<void> {
  if (options.data !== undefined && options.resume !== undefined)
    throw usageError('expected no --resume with --data: a database is verified in one go');
  const bar = context.progress('entries verified');
  let summary: AuditSummary;
  try {
    await using parts = createAuditParts(context);
    summary = await verified(
      options.data === undefined
        ? overHttp(context, { ...options, parts, bar })
        : ofDatabase(options.data, { parts, bar }),
    );
  } finally {
    await bar.end();
  }
  await (context.globals.isJson
    ? context.printJson(summary)
    : context.print(showSummary(summary, context)));
}

/** Trusted state of before, which a rollback or a fork would contradict, is all that is believed. */
async function overHttp(
  context: Context,
  { resume, parts, bar }: VerifyOptions & { readonly parts: AuditParts; readonly bar: Progress },
): Promise<AuditSummary> {
  const { globals, io } = context;
  const known = await trustedEnd(globals);
  const file = resume === undefined ? undefined : createAuditFile(resume);
  return auditRegistry({
    ...parts,
    registry: globals.registry ?? known?.registry,
    transport: createTransport(context),
    known,
    from: await file?.load(),
    onVerified: async (state) => file?.save(state),
    signal: io.interrupt,
    onProgress: bar.show,
  });
}

async function ofDatabase(
  path: string,
  { parts, bar }: { readonly parts: AuditParts; readonly bar: Progress },
): Promise<AuditSummary> {
  const [{ openAudit }, { auditDatabase }] = await Promise.all([
    import('../../server/audit.ts'),
    import('../audit-database.ts'),
  ]);
  await using database = await openAudit(path);
  return await auditDatabase(database, { ...parts, onProgress: bar.show });
}

function showSummary(summary: AuditSummary, { style }: Context): string {
  const { rows, nodes, tiles, checkpoint } = summary;
  return [
    style('good', `verified ${summary.origin}`),
    table([
      ['registry', summary.registry],
      ['head', `version ${summary.version}, ${summary.entry_hash}`],
      ['committed at', summary.committed_at],
      ['entries', String(summary.entries)],
      ['approvals', String(summary.approvals)],
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

function showCheckpoint({ size, root, log_keys }: CheckpointSummary): string {
  return `${plural(size, 'entry', 'entries')}, root ${root}, signed by ${log_keys.join(', ')}`;
}

function showWitnesses(checkpoint: CheckpointSummary | null): string {
  const { cosigned = null, fresh_at = null } = checkpoint ?? {};
  if (cosigned === null) return 'not asked about: --witness-policy demands them';
  if (fresh_at === null) return 'none demanded by the policy';
  return `${cosigned.join(', ')}; a quorum of them saw it at ${formatTime(fresh_at * 1000)}`;
}
