/** Small parts of the audit trail that decide nothing about its order: its refusals, its own events, its ends compared. */
import { RegistryError } from '../../core/error.ts';
import type { AuditEvent } from '../../telemetry/audit.ts';
import type { Position } from './record.ts';

/** Whether a log that was known to end there still does, or has gone on. */
export function reaches(end: Position, known: Position): boolean {
  return end.seq === known.seq ? end.hash === known.hash : end.seq > known.seq;
}

/** What a write is told while no record can be kept. */
export function refusalOf(error: unknown): RegistryError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'an error';
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EROFS')
    return new RegistryError(
      'read_only',
      `expected to keep an audit record of every write, got ${code}: make space on the disk of the data directory`,
    );
  if (error instanceof RegistryError)
    return new RegistryError(
      'not_ready',
      'expected an audit log that verifies, got a damaged one: its operator moves it away, and a new one begins',
    );
  return new RegistryError(
    'not_ready',
    `expected to keep an audit record of every write, got ${code}`,
  );
}

export function stalled(ms: number): RegistryError {
  return new RegistryError(
    'not_ready',
    `expected an audit record to be kept within ${ms} ms, got none yet`,
  );
}

export function ownEvent(act: 'start' | 'stop'): AuditEvent {
  return {
    act,
    decision: 'accepted',
    code: null,
    reason: null,
    client: null,
    token: null,
    signer: null,
    proposal: null,
    version: null,
    corrId: null,
  };
}
