/** `quorate verify`: everything again from genesis, over HTTP or in a database file, and a summary. */
import type { Command } from 'commander';
import type { AuditSummary } from '../audit.ts';
import type { Archive } from '../audit-archive.ts';
import { createAuditFile } from '../audit-file.ts';
import { type AuditParts, createAuditParts } from '../audit-parts.ts';
import { auditRegistry } from '../audit-registry.ts';
import type { Context } from '../context.ts';
import { usageError, verified } from '../failure.ts';
import { createTransport } from '../http-log.ts';
import { trustedEnd } from '../old-log.ts';
import type { Progress } from '../progress.ts';
import { showAuditSummary } from '../show-audit.ts';
import { untilInterrupted } from '../unpacking.ts';

interface VerifyOptions {
  readonly data?: string;
  readonly resume?: string;
  readonly snapshot?: string;
}

export function defineVerify(command: Command, context: Context): void {
  command
    .option(
      '--data <path>',
      'a database file or a data directory, instead of the registry at --url',
    )
    .option(
      '--snapshot <snapshot>',
      'with --data: a snapshot from before a pruning (a file, s3://bucket/prefix/NAME.qsnap, or a directory of them), for what the database has let go of',
    )
    .option('--resume <file>', 'keep what was verified in this file, and go on from it; over HTTP')
    .action((options: VerifyOptions) => verify(context, options));
}

async function verify(context: Context, options: VerifyOptions): Promise<void> {
  if (options.data !== undefined && options.resume !== undefined)
    throw usageError('expected no --resume with --data: a database is verified in one go');
  if (options.data === undefined && options.snapshot !== undefined)
    throw usageError('expected no --snapshot without --data: over HTTP nothing falls back to one');
  const bar = context.progress('entries verified');
  let summary: AuditSummary;
  try {
    await using parts = createAuditParts(context);
    summary = await verified(
      options.data === undefined
        ? overHttp(context, { ...options, parts, bar })
        : ofDatabase(context, { ...options, data: options.data, parts, bar }),
    );
  } finally {
    await bar.end();
  }
  await (context.globals.isJson
    ? context.printJson(summary)
    : context.print(showAuditSummary(summary, context)));
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
  context: Context,
  {
    data,
    snapshot,
    parts,
    bar,
  }: { readonly data: string; readonly parts: AuditParts; readonly bar: Progress } & VerifyOptions,
): Promise<AuditSummary> {
  const [{ openAudit }, { auditDatabase }] = await Promise.all([
    import('../../server/audit.ts'),
    import('../audit-database.ts'),
  ]);
  await using database = await openAudit(data, { isForeign: true });
  const audit = (archive?: Archive) =>
    auditDatabase(database, { ...parts, archive, onProgress: bar.show });
  if (snapshot === undefined) return await audit();
  const { openArchive } = await import('../audit-archive.ts');
  return await untilInterrupted(context, async () => {
    await using archive = await openArchive(context, snapshot, database);
    return await audit(archive);
  });
}
