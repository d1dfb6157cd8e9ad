/** Reloads that come by no operator's socket, but by SIGHUP: on record as the acts of an operator that they are. */
import { errorCode } from '../core/error.ts';
import type { Registry } from '../registry/registry.ts';
import type { AuditEvent, AuditTrail } from '../telemetry/audit.ts';
import type { LiveConfig } from './live-config.ts';

export interface ReloadParts {
  readonly live: Pick<LiveConfig, 'reload'>;
  readonly audit: AuditTrail;
  readonly registry: Pick<Registry, 'head'>;
}

/** Does what `LiveConfig.reload` does; settles when the record is kept. Who is served by one reload shares its record. */
export function recordedReload({ live, ...parts }: ReloadParts): () => Promise<readonly string[]> {
  let asked: Promise<readonly string[]> | undefined;
  let recorded: Promise<readonly string[]> | undefined;
  return () => {
    const reloaded = live.reload();
    if (recorded === undefined || reloaded !== asked) recorded = record(reloaded, parts);
    asked = reloaded;
    return recorded;
  };
}

async function record(
  reloaded: Promise<readonly string[]>,
  { audit, registry }: Omit<ReloadParts, 'live'>,
): Promise<readonly string[]> {
  try {
    const changed = await reloaded;
    const version = registry.head()?.version ?? null;
    await audit.record({ ...RELOAD, decision: 'accepted', code: null, version });
    return changed;
  } catch (error) {
    const code = errorCode(error);
    await audit.record({ ...RELOAD, decision: 'refused', code, version: null });
    throw error;
  }
}

const RELOAD: Omit<AuditEvent, 'decision' | 'code' | 'version'> = {
  act: 'reload',
  reason: null,
  client: 'signal',
  token: null,
  signer: null,
  proposal: null,
  corrId: null,
};
