/** The audit log of a profile: a directory of segments, or lines on standard output. */
import { randomBytes } from 'node:crypto';
import type { Config } from '../config.ts';
import { AuditLog, type AuditParts, type OpenAuditLog } from './audit-log.ts';
import { auditDirectory } from './directory.ts';
import { openFileSink } from './file-sink.ts';
import { createLineOutput, createStdoutSink, type LineOutput } from './stdout-sink.ts';

export type { OpenAuditLog } from './audit-log.ts';

/**
 * To be opened after the database, whose lock keeps a second process away from the directory. Records
 * `start`, and `stop` when it is disposed of. Never rejects: a log that can not be kept shuts its gate.
 */
export async function openAuditLog(
  { profile, dataDir, auditMaxBytes }: Pick<Config, 'profile' | 'dataDir' | 'auditMaxBytes'>,
  { stdout, ...parts }: AuditParts & { readonly stdout?: LineOutput },
): Promise<OpenAuditLog> {
  const newLogId = (): string => randomBytes(16).toString('hex');
  const directory = auditDirectory(dataDir);
  const log = new AuditLog({
    ...parts,
    maxBytes: auditMaxBytes,
    openSink: async (maxBytes) =>
      profile === 'micronode'
        ? createStdoutSink(stdout ?? createLineOutput(), newLogId())
        : openFileSink({ directory, maxBytes, now: parts.now, newLogId }),
  });
  await log.begin();
  return log;
}
