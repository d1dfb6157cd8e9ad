/** An audit over HTTP: every entry from genesis by a client that trusts nothing, then the set as it is served. */
import type { Client, VerifiedHead } from '../client/client.ts';
import { RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import { AuditCount, type AuditSummary } from './audit.ts';

export interface RegistryAudit {
  /** Trusts nothing but the registry of `head`, and remembers nothing. */
  readonly client: Client;
  /** Verified before, by a client with trusted state: where the audit must lead. */
  readonly head: VerifiedHead;
  readonly signal: AbortSignal;
  readonly onProgress: (version: number, head: number) => void;
}

/** Throws what the client throws: `fork`, `invalid_entry`, `invalid_proof`, ... */
export async function auditRegistry({
  client,
  head,
  signal,
  onProgress,
}: RegistryAudit): Promise<AuditSummary> {
  const count = new AuditCount();
  let reached: Hash | undefined;
  // It begins after genesis and never ends by itself.
  if (head.version > 0)
    for await (const { entry } of client.follow({ signal })) {
      reached = entry.entryHash;
      count.add(entry);
      onProgress(entry.version, head.version);
      if (entry.version === head.version) break;
    }
  const genesis = await client.entry(0);
  count.add(genesis);
  reached ??= genesis.entryHash;
  if (reached !== head.entryHash)
    throw new RegistryError(
      'fork',
      `expected version ${head.version} to be ${head.entryHash} as verified before, got ${reached}`,
    );
  // The entries gave the set root; this is whether the set that is served gives it too.
  await client.set();
  return count.summary(head, null);
}
