/**
 * The log that an epoch ends, as far as it can be verified: at its service, in its database, or in the
 * trusted state that somebody kept of it. Each gives where it ends, its governance there and its set.
 */
import { decodeTrustedState } from '../client/trusted-text.ts';
import { decodeDescriptor, descriptorPath, descriptorValueHash } from '../core/descriptor.ts';
import { RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import type { Descriptor } from '../core/payload.ts';
import type { Previous } from '../core/previous.ts';
import { SetTree } from '../core/set-tree.ts';
import { readSignedCheckpoint } from '../core/tlog/note-signatures.ts';
import type { AuditedDatabase } from '../server/audit.ts';
import { assembleBundle } from './assemble-bundle.ts';
import { auditDatabase } from './audit-database.ts';
import { createAuditParts } from './audit-parts.ts';
import { trustPath } from './connect.ts';
import type { Context } from './context.ts';
import { verified } from './failure.ts';
import type { Globals } from './globals.ts';
import { logSourceOf } from './open-log.ts';
import { createFileTrust } from './trust-file.ts';

export interface OldLog {
  readonly previous: Previous;
  /** At that checkpoint; `undefined` where only its root is known. */
  readonly descriptors: readonly Descriptor[] | undefined;
}

/** From its service, verified against trusted state: one that rolled back or forked is no source. */
export async function oldLogOverHttp(context: Context): Promise<OldLog> {
  const { head, items } = await verified((await context.client()).set());
  const { origin, registry, governance, checkpoint } = head;
  if (checkpoint.size !== head.version + 1) throw ahead(checkpoint.size, head.version);
  return {
    previous: { checkpoint: checkpoint.note, governance, origin, registry },
    descriptors: items,
  };
}

/** From its database: every entry again from genesis, and the set at the last signed checkpoint. */
export async function oldLogInDatabase(context: Context, path: string): Promise<OldLog> {
  const { globals } = context;
  const { openAudit } = await import('../server/audit.ts');
  await using database = await openAudit(path);
  await using parts = createAuditParts(context);
  await verified(auditDatabase(database, { ...parts, onProgress: () => {} }));
  // Of one moment: a server may be running, and letting go of what it had.
  return await database.atOneMoment(() =>
    lastCheckpointOf(database, { path, registry: globals.registry }),
  );
}

async function lastCheckpointOf(
  database: AuditedDatabase,
  { path, registry: pinned }: { readonly path: string; readonly registry: Hash | undefined },
): Promise<OldLog> {
  const source = logSourceOf(database, path);
  const { verified: bundle, registry } = await verified(
    assembleBundle(source, { registry: pinned }),
  );
  const { checkpoint, lineage, entries } = bundle;
  const setRoot = entries.at(-1)?.leaf.set_root;
  const descriptors: Descriptor[] = [];
  const changes = [];
  for await (const row of database.descriptors(checkpoint.size - 1)) {
    descriptors.push(decodeDescriptor(row.bytes));
    changes.push({ path: descriptorPath(row), valueHash: descriptorValueHash(row.bytes) });
  }
  if (SetTree.EMPTY.with(changes).root !== setRoot)
    throw new RegistryError(
      'storage_damaged',
      `expected the descriptors at version ${checkpoint.size - 1} to give ${setRoot}, got others`,
    );
  const { origin, governance } = lineage;
  return { previous: { checkpoint: checkpoint.note, governance, origin, registry }, descriptors };
}

/** From trusted state alone, when nobody answers any more or nothing that answers can be believed. */
export async function oldLogFromState(globals: Globals): Promise<OldLog> {
  const previous = await trustedEnd(globals);
  if (previous !== undefined) return { previous, descriptors: undefined };
  throw new RegistryError(
    'invalid_request',
    `expected trusted state in ${trustPath(globals)}, got none: name the registry as it was named when it was verified`,
  );
}

/** Where the registry stood when it was last verified here; `undefined` when it never was. */
export async function trustedEnd(
  globals: Pick<Globals, 'stateDir' | 'registry' | 'url'>,
): Promise<Previous | undefined> {
  const text = await createFileTrust(trustPath({ ...globals })).load();
  if (text === undefined) return undefined;
  const { chain, checkpoint } = decodeTrustedState(text);
  if (checkpoint.size !== chain.version + 1) throw ahead(checkpoint.size, chain.version);
  const { origin, registry, governance } = chain;
  return { checkpoint: checkpoint.note, governance, origin, registry };
}

/** Trusted state of the registry, whether it was pinned or believed at the URL. */
export async function trustedEndOf(
  registry: Hash,
  globals: Globals,
): Promise<Previous | undefined> {
  const pinned = await trustedEnd({ ...globals, registry });
  if (pinned !== undefined) return pinned;
  const { stateDir, url } = globals;
  const believed = await trustedEnd({ stateDir, url, registry: undefined });
  return believed?.registry === registry ? believed : undefined;
}

export function endOf({ checkpoint }: Previous): {
  readonly size: number;
  readonly root: Uint8Array;
} {
  return readSignedCheckpoint(checkpoint);
}

function ahead(size: number, version: number): RegistryError {
  return new RegistryError(
    'not_ready',
    `expected every entry of the checkpoint of ${size} to be verified, got them up to version ${version}`,
  );
}
