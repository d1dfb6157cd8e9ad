/** `quorate snapshot verify`: everything in a snapshot checked, with no server and no network. */
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { escapeText } from '../../core/error.ts';
import { headerJson } from '../../server/snapshot/header.ts';
import { type UnpackedSnapshot, unpackVerified } from '../../server/snapshot/unpack-verified.ts';
import type { AuditSummary } from '../audit.ts';
import { createAuditParts } from '../audit-parts.ts';
import type { Context } from '../context.ts';
import { verified } from '../failure.ts';
import { showAuditSummary } from '../show-audit.ts';
import { headerRows } from '../show-snapshot.ts';
import { openSource, type SnapshotSource, type SourceFlags } from '../snapshot-source.ts';
import { table } from '../text.ts';
import { makeScratch, showUnpacking, untilInterrupted } from '../unpacking.ts';

export interface VerifyFlags extends SourceFlags {
  readonly scratch?: string;
  readonly quick?: boolean;
}

export async function verifySnapshot(
  context: Context,
  which: string,
  flags: VerifyFlags,
): Promise<void> {
  const { globals, io } = context;
  const directory = await makeScratch(flags.scratch ?? tmpdir());
  await using _ = { [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
  const { snapshot, summary, isNamed } = await untilInterrupted(context, async () => {
    const source = await openSource(context, which, flags);
    const unpacked = await unpack(context, { source, directory });
    const audited = flags.quick === true ? null : await audit(context, unpacked.path);
    return { snapshot: unpacked, summary: audited, isNamed: source.wanted !== undefined };
  });
  if (globals.isJson) {
    const { id, header } = snapshot;
    return await context.printJson({ id, header: headerJson(header), audit: summary });
  }
  const rows = table(headerRows(snapshot, io.now()));
  const found =
    summary === null
      ? context.style('good', 'verified, but for the approvals under the checkpoint')
      : showAuditSummary(summary, context);
  const lines = [...rows.split('\n').map(escapeText), found, ...(isNamed ? [] : [UNNAMED])];
  await context.print(lines.join('\n'));
}

const UNNAMED =
  'its name does not tell its id: when it was made, and by which program, its header alone says; compare the id, or give it with --id';

async function unpack(
  context: Context,
  { source, directory }: { readonly source: SnapshotSource; readonly directory: string },
): Promise<UnpackedSnapshot> {
  const { globals, io } = context;
  const { chunks, wanted } = source;
  return verified(
    showUnpacking(context, (onProgress) =>
      unpackVerified(chunks, {
        directory,
        wanted,
        registry: globals.registry,
        now: io.now,
        onProgress,
        signal: io.interrupt,
      }),
    ),
  );
}

async function audit(context: Context, path: string): Promise<AuditSummary> {
  const [{ openAudit }, { auditDatabase }] = await Promise.all([
    import('../../server/audit.ts'),
    import('../audit-database.ts'),
  ]);
  const bar = context.progress('entries audited');
  try {
    await using parts = createAuditParts(context);
    await using database = await openAudit(path);
    return await verified(auditDatabase(database, { ...parts, onProgress: bar.show }));
  } finally {
    await bar.end();
  }
}
