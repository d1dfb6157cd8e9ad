/**
 * What keeps a flood of refused writes from pushing history out: of refusals that no token vouches for,
 * few are listed one by one, and the others are counted. Pure but for what it remembers.
 */
import { OPERATIONS } from '../../http/authority.ts';
import type { AuditEvent } from '../../telemetry/audit.ts';
import { clockTime, type Draft } from './record.ts';

export const WINDOW_MS = 60_000;
/** Listed in one window for one client. */
export const LISTED_PER_CLIENT = 20;
/** Listed in all: at once, and then one more for each window. */
export const LISTED_AT_ONCE = 200;
/** More clients in one window are not told apart. */
export const MAX_CLIENTS = 4_096;

/** What strangers can send; operator acts come over a socket of their own. */
const WRITES: ReadonlySet<AuditEvent['act']> = new Set(OPERATIONS);
/** Even with a token: what these refuse is not bounded by the limits of that token. */
const LIMITS = new Set(['rate_limited', 'overloaded']);

export class Flood {
  #allowance = LISTED_AT_ONCE;
  #windowStart = 0;
  /** Listed in this window, by client. */
  readonly #listed = new Map<string, number>();
  #suppressed: Suppressed | undefined;

  /** Whether the event is to be a record of its own; if not, it was counted. */
  isListed(event: AuditEvent, at: number): boolean {
    if (event.decision === 'accepted' || !WRITES.has(event.act)) return true;
    if (event.token !== null && !LIMITS.has(event.code ?? '')) return true;
    this.#roll(at);
    const client = event.client ?? '';
    const listed = this.#listed.get(client) ?? 0;
    if (this.#allowance > 0 && listed < LISTED_PER_CLIENT) {
      this.#allowance--;
      this.#listed.set(client, listed + 1);
      return true;
    }
    this.#suppressed ??= { since: at, clients: new Set(), codes: new Map() };
    const { clients, codes } = this.#suppressed;
    if (clients.size < MAX_CLIENTS) clients.add(client);
    const code = event.code ?? 'none';
    codes.set(code, (codes.get(code) ?? 0) + 1);
    return false;
  }

  get hasSuppressed(): boolean {
    return this.#suppressed !== undefined;
  }

  /** The counts since the last call, as one record; `undefined` when there are none. */
  take(at: number): Draft | undefined {
    const taken = this.#suppressed;
    if (taken === undefined) return undefined;
    this.#suppressed = undefined;
    return {
      at,
      members: {
        act: 'suppressed',
        since: clockTime(taken.since),
        clients: taken.clients.size,
        codes: Object.fromEntries(taken.codes),
      },
    };
  }

  /** A clock that goes back begins a window too, but earns nothing. */
  #roll(at: number): void {
    const windows = Math.floor((at - this.#windowStart) / WINDOW_MS);
    if (windows === 0) return;
    if (windows > 0) this.#allowance = Math.min(LISTED_AT_ONCE, this.#allowance + windows);
    this.#windowStart = at;
    this.#listed.clear();
  }
}

interface Suppressed {
  readonly since: number;
  readonly clients: Set<string>;
  readonly codes: Map<string, number>;
}
