/**
 * The clock: a cosigner of this service's own that says every few seconds that the checkpoint was still
 * the newest. It vouches for time alone, never goes back in it, and is silent while another cosigner refuses.
 */
import type { RegistryError } from '../core/error.ts';
import {
  type NoteVerifier,
  readSignedCheckpoint,
  type SignedCheckpoint,
  signersOf,
} from '../core/tlog/note-signatures.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Cosigner, CosignerPort, OpenCosigner } from './cosigners.ts';
import type { CheckpointSigner, RegistryTimers } from './options.ts';
import type { PublishedCheckpoint } from './registry.ts';
import { type CosignerKey, cosign, createCosignerKey } from './witness-cosign.ts';

export interface ClockOptions {
  readonly signer: CheckpointSigner;
  /** `null`: `<origin>/clock`. */
  readonly name: string | null;
  readonly intervalMs: number;
  readonly verifier: NoteVerifier;
  readonly metrics: Pick<Metrics, 'witnessRequested' | 'cosigned' | 'witnessSize'>;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly timers: RegistryTimers;
}

/** Others are asked again after at most this long whether they still refuse. */
const REFUSED_MS = 1_000;

/** Throws `invalid_request` for a name that cannot stand in a note. */
export function openClock(options: ClockOptions): OpenCosigner {
  if (options.name !== null) createCosignerKey(options.name, options.signer);
  return (port) => new Clock(options, port);
}

/** The name of a clock that was given none. */
export function clockNameOf(origin: string): string {
  return `${origin}/clock`;
}

class Clock implements Cosigner {
  readonly #options: ClockOptions;
  readonly #port: CosignerPort;
  #newest: PublishedCheckpoint | undefined;
  #key: CosignerKey | undefined;
  /** POSIX seconds. */
  #last = 0;
  #signing: Promise<void> | undefined;
  #timer: unknown;
  #isClosed = false;
  #isBehind = false;
  #isFailing = false;

  constructor(options: ClockOptions, port: CosignerPort) {
    this.#options = options;
    this.#port = port;
  }

  submit(checkpoint: PublishedCheckpoint): void {
    this.#newest = checkpoint;
    this.#tick();
  }

  refusal(): RegistryError | undefined {
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#options.timers.clearTimeout(this.#timer);
    await this.#signing;
  }

  #tick(): void {
    if (this.#signing !== undefined || this.#isClosed) return;
    const { timers, intervalMs } = this.#options;
    timers.clearTimeout(this.#timer);
    const asked = this.#newest;
    this.#signing = this.#sign().finally(() => {
      this.#signing = undefined;
      if (this.#isClosed) return;
      if (asked !== this.#newest) return this.#tick();
      const isRefused = this.#port.refusal() !== undefined;
      const delayMs = isRefused ? Math.min(intervalMs, REFUSED_MS) : intervalMs;
      this.#timer = timers.setTimeout(() => this.#tick(), delayMs);
    });
  }

  /** Never rejects. */
  async #sign(): Promise<void> {
    const { log, metrics, now } = this.#options;
    if (this.#newest === undefined) return;
    try {
      const checkpoint = readSignedCheckpoint(this.#newest.note);
      // At least a turn: by then all others have been handed the checkpoint too.
      const key = await (this.#key ?? this.#open(checkpoint));
      this.#key = key;
      // A head that may be older than what was published is not said to be the newest.
      if (this.#port.refusal() !== undefined) return;
      const time = Math.floor(now() / 1000);
      if (time < this.#last) {
        if (!this.#isBehind)
          log.error(
            'the clock of this machine went back: its time is not vouched for until it has caught up',
            {
              seconds: this.#last - time,
            },
          );
        this.#isBehind = true;
        this.#count('unavailable');
        return;
      }
      this.#isBehind = false;
      this.#last = time;
      const signature = await cosign(checkpoint, key, time);
      this.#port.onCosigned(checkpoint.size, [signature]);
      metrics.witnessSize(key.key.name, checkpoint.size);
      metrics.cosigned(key.key.name, now() / 1000 - time);
      this.#isFailing = false;
      this.#count('signed');
    } catch (cause) {
      if (!this.#isFailing)
        log.error('the clock could not sign, and is asked again at every interval', { cause });
      this.#isFailing = true;
      this.#count('unavailable');
    }
  }

  /** As a request to a witness: one that has never signed is told by nothing else. */
  #count(result: 'signed' | 'unavailable'): void {
    const { name, metrics } = this.#options;
    if (this.#newest === undefined) return;
    metrics.witnessRequested({ witness: name ?? clockNameOf(this.#newest.origin), result });
  }

  /** Goes on from its own newest time in the checkpoint that was kept. */
  async #open(checkpoint: SignedCheckpoint): Promise<CosignerKey> {
    const { name, signer, verifier } = this.#options;
    const key = createCosignerKey(name ?? clockNameOf(checkpoint.origin), signer);
    const own = checkpoint.signatures.filter(({ keyId }) => keyId === key.key.keyId);
    try {
      const times = await signersOf({ ...checkpoint, signatures: own }, [key.key], verifier);
      this.#last = times.get(key.key) ?? 0;
    } catch (cause) {
      this.#options.log.warn('a time that the clock is said to have signed does not verify', {
        cause,
      });
    }
    return key;
  }
}
