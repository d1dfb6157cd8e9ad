/**
 * A log as a command takes it apart, from a service or from a database: its checkpoint, single entries
 * and proofs. Nothing that comes from it was judged.
 */
import { RegistryError } from '../core/error.ts';
import type { EntryBytes } from '../core/leaf.ts';
import type { Context } from './context.ts';
import { openHttpLog } from './http-log.ts';

export interface LogSource extends AsyncDisposable {
  /** The newest signed checkpoint with its cosignatures. */
  note(): Promise<string>;
  entry(version: number): Promise<EntryBytes>;
  /** The leaf's sibling first, 32 bytes each. */
  inclusionProof(place: {
    readonly version: number;
    readonly size: number;
  }): Promise<readonly Uint8Array[]>;
}

/** `data`: a database file or a data directory; without it the service at --url. */
export async function openLogSource(
  context: Pick<Context, 'io' | 'globals'>,
  data: string | undefined,
): Promise<LogSource> {
  if (data === undefined) return openHttpLog(context);
  const { openAudit } = await import('../server/audit.ts');
  const database = await openAudit(data);
  return {
    note: async () => {
      const note = await database.checkpoint();
      if (note !== undefined) return note;
      throw new RegistryError(
        'not_found',
        `expected a checkpoint in ${data}, got none: a service with the log key signs one when it starts`,
      );
    },
    entry: (version) => database.entry(version),
    inclusionProof: (place) => database.inclusionProof(place),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}
