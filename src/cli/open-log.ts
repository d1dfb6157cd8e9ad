/** Opens the log that the user named: a service's, or that of a database. */
import { RegistryError } from '../core/error.ts';
import type { EntryBytes } from '../core/leaf.ts';
import type { AuditedDatabase } from '../server/audit.ts';
import type { Context } from './context.ts';
import { openHttpLog } from './http-log.ts';
import type { LogSource } from './log-source.ts';

/** `data`: a database file or a data directory; without it the service at --url. */
export async function openLogSource(
  context: Pick<Context, 'io' | 'globals' | 'say'>,
  data: string | undefined,
): Promise<LogSource> {
  if (data === undefined) return openHttpLog(context);
  const { openAudit } = await import('../server/audit.ts');
  return logSourceOf(await openAudit(data), data);
}

/** Owns the database from now on, which is at `data`. */
export function logSourceOf(database: AuditedDatabase, data: string): LogSource {
  return {
    note: async () => {
      const note = await database.checkpoint();
      if (note !== undefined) return note;
      throw new RegistryError(
        'not_found',
        `expected a checkpoint in ${data}, got none: a service with the log key signs one when it starts`,
      );
    },
    entry: async (version) => assertWhole(await database.entry(version)),
    leaf: async ({ version }) => (await database.entry(version)).leaf,
    inclusionProof: (place) => database.inclusionProof(place),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

/** A database keeps an empty payload where there was one. */
function assertWhole(entry: EntryBytes & { readonly version: number }): EntryBytes {
  const { version, payload, approvals } = entry;
  if (payload.length > 0) return entry;
  throw approvals.length > 0
    ? new RegistryError(
        'erased',
        `expected the payload of version ${version}, got none: it was erased`,
      )
    : new RegistryError(
        'pruned',
        `expected the payload of version ${version}, got none: it was pruned`,
      );
}
