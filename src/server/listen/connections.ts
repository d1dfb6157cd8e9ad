/**
 * The caps on open connections, in all and of one address. What is over one is closed before anything
 * of it is read: a flood costs one accept each, and an answer would cost more than it.
 */
import type { Socket } from 'node:net';
import type { Metrics } from '../../telemetry/metrics.ts';
import { addressKey } from '../address-key.ts';
import type { IsTrustedPeer } from './trusted-peers.ts';

export interface ConnectionLimits {
  readonly maxConnections: number;
  /** IPv6: of one /64. Trusted proxies and Unix sockets are not counted. */
  readonly maxConnectionsPerAddress: number;
}

export interface ConnectionsOptions {
  /** Asked at every connection: a reload may change them. */
  readonly limits: () => ConnectionLimits;
  readonly isTrusted: IsTrustedPeer;
  readonly metrics: Pick<Metrics, 'connections' | 'connectionRefused'>;
}

export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #byAddress = new Map<string, number>();
  #total = 0;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** Counts the connection until it closes; `false`: it is over a cap, and counted as refused. */
  admit(socket: Socket): boolean {
    const { limits, isTrusted, metrics } = this.#options;
    const { maxConnections, maxConnectionsPerAddress } = limits();
    const { remoteAddress } = socket;
    const isCounted = remoteAddress !== undefined && !isTrusted(remoteAddress);
    const key = isCounted ? addressKey(remoteAddress) : undefined;
    const refusal =
      this.#total >= maxConnections
        ? 'total'
        : this.#countOf(key) >= maxConnectionsPerAddress
          ? 'address'
          : undefined;
    if (refusal !== undefined) {
      metrics.connectionRefused(refusal);
      return false;
    }
    this.#count(key, 1);
    socket.once('close', () => this.#count(key, -1));
    return true;
  }

  #countOf(key: string | undefined): number {
    return key === undefined ? 0 : (this.#byAddress.get(key) ?? 0);
  }

  #count(key: string | undefined, change: 1 | -1): void {
    this.#total += change;
    this.#options.metrics.connections(change);
    if (key === undefined) return;
    const count = this.#countOf(key) + change;
    if (count === 0) this.#byAddress.delete(key);
    else this.#byAddress.set(key, count);
  }
}
