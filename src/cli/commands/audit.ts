/** `quorate audit`: the audit log of a server verified, and exported as NDJSON. */
import { type Command, Option } from 'commander';
import { isHash } from '../../core/hash.ts';
import {
  type AuditFile,
  AuditReading,
  type AuditSource,
  type AuditSummary,
} from '../../server/audit-log/read.ts';
import type { AuditRecord } from '../../server/audit-log/record.ts';
import { openAuditSource } from '../../server/audit-log/source.ts';
import type { Context } from '../context.ts';
import { usageError } from '../failure.ts';
import { plural, table } from '../text.ts';

const DEFAULT_PATH = 'data/audit';

export function defineAudit(command: Command, context: Context): void {
  const path = 'a directory of segments, a data directory, or a file; - is stdin';
  command
    .command('verify')
    .summary('check that nothing was changed, taken out or put in')
    .description(
      'Check every line of an audit log: that nothing was changed, taken out, put in or moved. Also while the server writes. Exit code 3 when it does not verify.',
    )
    .argument('[log]', path, DEFAULT_PATH)
    .option(
      '--expect-last <hash>',
      'the hash of a record, as it was noted elsewhere: shows that the end was not cut off or rewritten',
    )
    .action((log: string, options: { expectLast?: string }) =>
      verifyLog(context, log, options.expectLast),
    );
  command
    .command('export')
    .summary('print the records that are kept, as NDJSON')
    .description(
      'Print the records that are kept, as NDJSON, each after it was verified. With --act or --decision the lines no longer form a chain.',
    )
    .argument('[log]', path, DEFAULT_PATH)
    .option('--from <seq>', 'begin with this record')
    .option('--act <act>', 'only records of this act, such as commit')
    .addOption(
      new Option('--decision <decision>', 'only records of this decision').choices([
        'accepted',
        'refused',
      ]),
    )
    .action((log: string, options: ExportOptions) => exportLog(context, log, options));
}

async function verifyLog(context: Context, log: string, expectLast?: string): Promise<void> {
  if (expectLast !== undefined && !isHash(expectLast))
    throw usageError(
      `expected b3: and 64 lower-case hex digits after --expect-last, got ${expectLast}`,
    );
  const reading = new AuditReading(await sourceOf(context, log), { expectLast });
  for await (const { record } of reading.records()) void record;
  const summary = reading.summary();
  await (context.globals.isJson
    ? context.printJson(summaryJson(summary))
    : context.print(showSummary(summary, context)));
}

interface ExportOptions {
  readonly from?: string;
  readonly act?: string;
  readonly decision?: 'accepted' | 'refused';
}

async function exportLog(context: Context, log: string, options: ExportOptions): Promise<void> {
  const from = parseSeq(options.from ?? '1');
  const isWanted = (record: AuditRecord): boolean =>
    record.seq >= from &&
    (options.act === undefined || record.act === options.act) &&
    (options.decision === undefined ||
      ('decision' in record && record.decision === options.decision));
  const reading = new AuditReading(await sourceOf(context, log));
  for await (const { record, line } of reading.records())
    if (isWanted(record)) await context.print(new TextDecoder().decode(line));
  const { tornBytes } = reading.summary();
  if (tornBytes > 0)
    await context.say(`the last line has no end: ${plural(tornBytes, 'byte')} left out`);
}

function parseSeq(text: string): number {
  if (!/^[1-9][0-9]{0,15}$/.test(text) || !Number.isSafeInteger(Number(text)))
    throw usageError(`expected the number of a record after --from, got ${text}`);
  return Number(text);
}

async function sourceOf({ io }: Context, log: string): Promise<AuditSource> {
  if (log !== '-') return openAuditSource(log);
  const file: AuditFile = { name: 'standard input', segment: undefined, chunks: () => io.stdin };
  return { files: [file], isWhole: false };
}

function showSummary(summary: AuditSummary, { style }: Context): string {
  const { first, last, tornBytes, sinceExpected } = summary;
  return [
    style('good', `verified ${plural(summary.records, 'record')}`),
    table([
      ['log', summary.log ?? 'not named in these records'],
      ['first', `record ${first.seq}, ${first.time}`],
      ['last', `record ${last.seq}, ${last.time}`],
      ['hash', String(last.hash)],
      ['accepted', String(summary.accepted)],
      ['refused', `${summary.refused}, and ${summary.suppressed} more were counted only`],
      ['deleted', plural(summary.deleted, 'record')],
      ['lost', plural(summary.lost, 'event')],
      ['recovered', plural(summary.recovered, 'time')],
      ...(tornBytes === 0
        ? []
        : [
            [
              'end',
              `a line of ${plural(tornBytes, 'byte')} without its end: it is being written, or a crash cut it short`,
            ],
          ]),
      [
        'expected',
        sinceExpected === null
          ? 'nothing: only a hash noted elsewhere (--expect-last) shows that the end was not cut off'
          : `found, ${plural(sinceExpected, 'record')} before the last`,
      ],
    ]),
  ].join('\n');
}

function summaryJson(summary: AuditSummary): object {
  const { tornBytes, sinceExpected, ...rest } = summary;
  return { ...rest, torn_bytes: tornBytes, since_expected: sinceExpected };
}
