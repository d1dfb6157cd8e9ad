/**
 * One witness as the log sees it: at most one request under way, always for the newest checkpoint,
 * started again when the log grows, when a cosignature gets old, or when a failure has been waited out.
 */
import { encodeUtf8 } from '../core/bytes.ts';
import { RegistryError } from '../core/error.ts';
import { SKEW_MS } from '../core/time.ts';
import {
  type AddCheckpoint,
  encodeAddCheckpoint,
  MAX_REQUEST_BYTES,
} from '../core/tlog/add-checkpoint.ts';
import { encodeNote, type NoteSignature } from '../core/tlog/note.ts';
import {
  type NoteVerifier,
  readSignedCheckpoint,
  type SignedCheckpoint,
} from '../core/tlog/note-signatures.ts';
import {
  judgeAnswer,
  readCosignature,
  type WitnessAnswer,
  type WitnessResult,
} from '../core/tlog/witness-answer.ts';
import type { VerifierKey } from '../core/vkey.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { CosignerPort } from './cosigners.ts';
import type { RegistryTimers } from './options.ts';
import type { PublishedCheckpoint } from './registry.ts';

/** What an HTTP POST brought; `retryAfter` is the header as it came. */
export interface PostAnswer extends WitnessAnswer {
  readonly retryAfter: string | null;
}

/** Rejects when no whole answer came, in time and within its bounds. */
export type Post = (
  url: string,
  body: string,
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
) => Promise<PostAnswer>;

/** What it takes to ask witnesses at all. */
export interface WitnessWorld {
  readonly post: Post;
  readonly verifier: NoteVerifier;
  readonly metrics: Pick<Metrics, 'witnessRequested' | 'witnessSize' | 'cosigned' | 'witnessAlarm'>;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** 0 up to 1, for jitter. */
  readonly random: () => number;
  readonly timers: RegistryTimers;
  /** A cosignature is asked for again at about this age. */
  readonly recosignMs: number;
  /** For one request. */
  readonly timeoutMs: number;
}

/** The witness holds against this log what no delay explains. */
export interface WitnessAlarm {
  readonly reason: 'ahead' | 'fork';
  readonly name: string;
  /** The size the witness saw last, as far as it said. */
  readonly theirs: number;
  readonly ours: number;
}

export interface WitnessOptions extends WitnessWorld, Pick<CosignerPort, 'prove'> {
  /** In the policy. */
  readonly name: string;
  readonly key: VerifierKey;
  /** Of `add-checkpoint`. */
  readonly url: string;
  /** The newest checkpoint. */
  readonly newest: () => PublishedCheckpoint;
  readonly onCosigned: (size: number, signature: NoteSignature) => void;
  readonly onAlarm: (alarm: WitnessAlarm) => void;
  /** Whatever came of it, an answer or none. */
  readonly onAsked: () => void;
}

const MIN_DELAY_MS = 1_000;
const MAX_DELAY_MS = 10 * 60_000;
/** Waiting for a person: to make this log known to the witness, or to correct a key. */
const ONBOARDING_MS = 2 * 3_600_000;
const MAX_RETRY_AFTER_MS = 24 * 3_600_000;
/** Requests in a row that only tell where to prove from. */
const MAX_ELSEWHERE = 3;

type Result = WitnessResult | 'invalid_answer';
const NEEDS_PERSON: readonly Result[] = [
  'malformed',
  'forbidden',
  'unknown_origin',
  'invalid_proof',
];

export class Witness {
  readonly #options: WitnessOptions;
  readonly #closed = new AbortController();
  #asking: Promise<void> | undefined;
  #timer: unknown;
  /** Of the checkpoint it signed last here. */
  #signedSize: number | undefined;
  /** What it saw last, as far as is known: where a proof begins. */
  #old = 0;
  #failures = 0;
  #isWaitingOut = false;
  #isAlarmed = false;

  constructor(options: WitnessOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  /** There may be something new to ask. After a failure its delay is waited out all the same. */
  wake(): void {
    if (this.#asking !== undefined || this.#isWaitingOut || this.#isAlarmed) return;
    if (this.#closed.signal.aborted) return;
    this.#clearTimer();
    this.#asking = this.#askUntilSigned().finally(() => {
      this.#asking = undefined;
      // The log may have grown meanwhile.
      if (this.#signedSize !== undefined && this.#signedSize < this.#options.newest().size)
        this.wake();
    });
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#clearTimer();
    await this.#asking;
  }

  async #askUntilSigned(): Promise<void> {
    let elsewhere = 0;
    for (;;) {
      const { result, retryAfterMs } = await this.#ask();
      if (this.#closed.signal.aborted) return;
      this.#options.metrics.witnessRequested({ witness: this.name, result });
      this.#options.onAsked();
      if (this.#isAlarmed) return;
      if (result === 'elsewhere' && ++elsewhere <= MAX_ELSEWHERE) continue;
      if (result !== 'signed') return this.#waitOut(result, retryAfterMs);
      this.#failures = 0;
      return this.#recosignLater();
    }
  }

  /** Never rejects. */
  async #ask(): Promise<{ readonly result: Result; readonly retryAfterMs?: number }> {
    const { log, post, url, timeoutMs, now } = this.#options;
    const published = this.#options.newest();
    try {
      const checkpoint = readSignedCheckpoint(published.note);
      const old = this.#old;
      const body = await this.#requestFor(checkpoint, old);
      // Closing must not have to wait for a request that it did not yet see.
      this.#closed.signal.throwIfAborted();
      const answer = await post(url, body, { signal: this.#closed.signal, timeoutMs });
      const verdict = judgeAnswer(answer, { old, newest: this.#options.newest().size });
      switch (verdict.result) {
        case 'signed':
          return { result: await this.#takeCosignature(checkpoint, answer.body) };
        case 'elsewhere':
          this.#old = verdict.size;
          return verdict;
        case 'ahead':
          this.#raise({ reason: 'ahead', theirs: verdict.size, checkpoint, answer });
          return verdict;
        case 'fork':
          // A conflict without a size is about this very one.
          this.#raise({
            reason: 'fork',
            theirs: answer.status === 409 ? checkpoint.size : old,
            checkpoint,
            answer,
          });
          return verdict;
        default:
          this.#remark(verdict.result, answer);
          return { result: verdict.result, ...retryAfterOf(answer.retryAfter, now()) };
      }
    } catch (cause) {
      if (!this.#closed.signal.aborted)
        log.warn('a witness gave no answer', { witness: this.name, url, cause });
      return { result: 'unavailable' };
    }
  }

  async #requestFor(checkpoint: SignedCheckpoint, old: number): Promise<string> {
    const { text, signatures, origin, size } = checkpoint;
    const isProofNeeded = old > 0 && old < size;
    const proof = isProofNeeded ? await this.#options.prove({ from: old, size }) : [];
    // Sent so, it would be refused, and look like a fork.
    if (isProofNeeded && proof.length === 0)
      throw new RegistryError('internal', `expected a proof from ${old} to ${size}, got none`);
    const own = signatures.filter(({ name }) => name === origin);
    const requestWith = (lines: readonly NoteSignature[]): AddCheckpoint => ({
      old,
      proof,
      note: encodeNote({ text, signatures: lines }),
    });
    const body = encodeAddCheckpoint(requestWith(own));
    if (encodeUtf8(body).length <= MAX_REQUEST_BYTES) return body;
    // Every log has an Ed25519 key, and every witness reads its signature.
    return encodeAddCheckpoint(requestWith(own.filter(({ signature }) => signature.length === 64)));
  }

  async #takeCosignature(checkpoint: SignedCheckpoint, lines: string): Promise<Result> {
    const { key, verifier, now, metrics, onCosigned, log } = this.#options;
    try {
      const { signature, time } = await readCosignature(lines, {
        checkpoint,
        key,
        verifier,
        now: Math.floor(now() / 1000),
        skewSeconds: SKEW_MS / 1000,
      });
      this.#old = checkpoint.size;
      this.#signedSize = checkpoint.size;
      metrics.witnessSize(this.name, checkpoint.size);
      metrics.cosigned(this.name, now() / 1000 - time);
      onCosigned(checkpoint.size, signature);
      return 'signed';
    } catch (cause) {
      log.error('a witness answered with something else than its cosignature', {
        witness: this.name,
        cause,
      });
      return 'invalid_answer';
    }
  }

  #raise({
    reason,
    theirs,
    checkpoint,
    answer,
  }: {
    reason: WitnessAlarm['reason'];
    theirs: number;
    checkpoint: SignedCheckpoint;
    answer: WitnessAnswer;
  }): void {
    this.#isAlarmed = true;
    const { metrics, log, onAlarm, url } = this.#options;
    metrics.witnessAlarm(reason);
    log.error('a witness contradicts this log: nothing more is written', {
      witness: this.name,
      url,
      reason,
      theirs,
      ours: checkpoint.size,
      checkpoint: checkpoint.note,
      status: answer.status,
      content_type: answer.contentType,
      answer: answer.body,
    });
    onAlarm({ reason, name: this.name, theirs, ours: checkpoint.size });
  }

  #remark(result: Result, { status, body }: WitnessAnswer): void {
    const { log } = this.#options;
    const fields = { witness: this.name, result, status, answer: body.slice(0, 200) };
    if (NEEDS_PERSON.includes(result)) log.error('a witness refuses this log', fields);
    else log.warn('a witness gave no cosignature', fields);
  }

  #waitOut(result: Result, retryAfterMs = 0): void {
    const { random } = this.#options;
    const doubled = Math.min(MAX_DELAY_MS, MIN_DELAY_MS * 2 ** Math.min(this.#failures, 30));
    this.#failures++;
    const base = NEEDS_PERSON.includes(result) ? ONBOARDING_MS : doubled;
    // Half of it is chance, so that logs that failed together do not return together.
    const delayMs = Math.max(MIN_DELAY_MS, base * (0.5 + random() / 2), retryAfterMs);
    this.#isWaitingOut = true;
    this.#setTimer(delayMs);
  }

  #recosignLater(): void {
    const { recosignMs, random } = this.#options;
    this.#setTimer(recosignMs * (0.9 + 0.1 * random()));
  }

  #setTimer(delayMs: number): void {
    this.#timer = this.#options.timers.setTimeout(() => {
      this.#isWaitingOut = false;
      this.wake();
    }, delayMs);
  }

  #clearTimer(): void {
    this.#options.timers.clearTimeout(this.#timer);
  }
}

/** RFC 9110 10.2.3: seconds, or a date. */
function retryAfterOf(header: string | null, now: number): { retryAfterMs?: number } {
  if (header === null) return {};
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isNaN(ms) ? {} : { retryAfterMs: Math.min(ms, MAX_RETRY_AFTER_MS) };
}

/** Why nothing is written once a witness contradicts. */
export function alarmRefusal({ reason, name, theirs, ours }: WitnessAlarm): RegistryError {
  const seen =
    reason === 'ahead'
      ? `expected no witness ahead of this log, got ${name}, which has seen ${theirs} entries of it, while here are ${ours}: this store is older than what was published, or another server writes too`
      : `expected witnesses to know this log, got ${name}, which at ${theirs} entries has seen another history than the ${ours} here`;
  return new RegistryError(
    'not_ready',
    `${seen}; reads go on; restore a newer backup, append what a replica or mirror has more (\`quorate snapshot restore SNAPSHOT --data DIR --catch-up URL\`), or stop the other server, and restart, or leave this log with \`quorate epoch\``,
    { details: { witness: name, reason, theirs, ours } },
  );
}
