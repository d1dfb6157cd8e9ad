/** `quorate verify`: everything again from genesis, over HTTP or in a database file, and a summary. */
import type { Command } from 'commander';
import { createNativeVerifier } from '../../server/native-verifier.ts';
import type { AuditSummary } from '../audit.ts';
import { auditRegistry } from '../audit-registry.ts';
import { connectWith } from '../connect.ts';
import type { Context } from '../context.ts';
import { verified } from '../failure.ts';
import type { Progress } from '../progress.ts';
import { table } from '../text.ts';

export function defineVerify(command: Command, context: Context): void {
  command
    .option(
      '--data <path>',
      'a database file or a data directory, instead of the registry at --url',
    )
    .action((options: { data?: string }) => verify(context, options.data));
}

async function verify(context: Context, data: string | undefined): Promise<void> {
  const bar = context.progress('entries verified');
  let summary: AuditSummary;
  try {
    summary = await verified(
      data === undefined ? overHttp(context, bar) : ofDatabase(context, data, bar),
    );
  } finally {
    await bar.end();
  }
  await (context.globals.isJson
    ? context.printJson(summary)
    : context.print(showSummary(summary, context)));
}

/** First with trusted state, which a rollback or a fork would contradict; then without any. */
async function overHttp(context: Context, bar: Progress): Promise<AuditSummary> {
  const head = await (await context.client()).head();
  const client = await connectWith(context, { registry: head.registry });
  return auditRegistry({ client, head, signal: context.io.interrupt, onProgress: bar.show });
}

async function ofDatabase(
  { globals }: Context,
  path: string,
  bar: Progress,
): Promise<AuditSummary> {
  const [{ openAudit }, { auditDatabase }] = await Promise.all([
    import('../../server/audit.ts'),
    import('../audit-database.ts'),
  ]);
  await using database = await openAudit(path);
  return await auditDatabase(database, {
    verifier: createNativeVerifier(),
    registry: globals.registry,
    onProgress: bar.show,
  });
}

function showSummary(summary: AuditSummary, { style }: Context): string {
  const { rows } = summary;
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
      ...(rows === null ? [] : [['rows', `${rows}, as the entries give them`]]),
    ]),
  ].join('\n');
}
