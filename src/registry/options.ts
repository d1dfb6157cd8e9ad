/** What a registry is opened with: everything that touches the world is handed in. */

import type { RegistryError } from '../core/error.ts';
import type { DecodedPayload } from '../core/payload.ts';
import type { Verifier } from '../core/verifier.ts';
import type { Store } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Tracer } from '../telemetry/tracer.ts';
import type { OpenCosigner } from './cosigners.ts';
import type { WriteGate } from './gates.ts';
import type { SetRead } from './load.ts';
import type { Pins } from './pins.ts';
import type { Walk } from './scrub.ts';

export interface RegistryLimits {
  readonly maxPendingProposals: number;
  /** Of their payloads; in memory, and after a restart again, each takes some ten times as much. */
  readonly maxPendingBytes: number;
  /** Entries committed as one durable batch. */
  readonly maxBatchEntries: number;
  readonly maxBatchBytes: number;
  /** Commits that may wait for the sequencer. */
  readonly maxQueuedCommits: number;
  /** Events kept in memory; a reader further behind is served from the store. */
  readonly recentEvents: number;
  readonly heartbeatMs: number;
  /** A stream ends after this long, give or take a fifth, so that reconnects spread. */
  readonly maxStreamAgeMs: number;
}

export const DEFAULT_LIMITS: RegistryLimits = {
  maxPendingProposals: 1_000,
  maxPendingBytes: 16 * 1024 * 1024,
  maxBatchEntries: 64,
  maxBatchBytes: 8 * 1024 * 1024,
  maxQueuedCommits: 1_000,
  recentEvents: 1_024,
  heartbeatMs: 15_000,
  maxStreamAgeMs: 15 * 60_000,
};

export interface RegistryTimers {
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
  /** After what else is due now: other requests get their turn in between. */
  soon(run: () => void): void;
}

/**
 * A key of the log, wherever it lives. Which checkpoint it may sign is governance's word: it signs those
 * of a governance whose `log_keys` hold its type and public key.
 */
export interface CheckpointSigner {
  readonly type: 'ed25519' | 'ml-dsa-44';
  /** 32 bytes, for `ml-dsa-44` 1,312. */
  readonly publicKey: Uint8Array;
  /** 64 bytes, for `ml-dsa-44` 2,420. May take long (a program, an HSM) and may fail: it is asked again then. */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

export interface ReadPayload extends DecodedPayload {
  /** Its `changePaths`, where they were made with it. */
  readonly paths?: readonly Uint8Array[];
}

export interface RegistryOptions {
  readonly store: Store;
  readonly verifier: Verifier;
  /** As `scrubLog` over the store, which is the default; a long log may be walked elsewhere. */
  readonly walk?: (walk: Walk) => Promise<void>;
  /** As `readSetRows` of the store's head, which is the default; a large set may be read elsewhere. */
  readonly readSet?: (read: SetRead) => Promise<Uint8Array>;
  /** As `decodePayload`, which is the default; large payloads may be checked elsewhere. */
  readonly decode?: (bytes: Uint8Array) => Promise<ReadPayload>;
  /** Told of every payload that is proposed before it is read; disposed of when it is durable, or refused. */
  readonly hold?: (payload: Uint8Array) => Disposable | undefined;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** 0 up to 1, for jitter. */
  readonly random: () => number;
  readonly timers: RegistryTimers;
  /**
   * Those that the governance in force names sign each checkpoint. Where none does, no checkpoint is
   * signed, and after genesis nothing is written.
   */
  readonly signers: readonly CheckpointSigner[];
  readonly cosigners?: readonly OpenCosigner[];
  /** Asked in this order before every write. */
  readonly gates?: readonly WriteGate[];
  readonly tracer?: Tracer;
  /** A store that holds another registry is refused. */
  readonly pins?: Pins;
  readonly limits?: Partial<RegistryLimits>;
  /** Where an operator keeps what was pruned, in their words, for who asks for it. */
  readonly archive?: string | null;
  /** More was let go of, and is refused from now on: what was made of it is to be forgotten. Must not throw. */
  readonly onLetGo?: () => void;
  /** Called once, when the outcome of a write is unknown: end the process without closing the store. */
  readonly onFatal: (error: RegistryError) => void;
}
