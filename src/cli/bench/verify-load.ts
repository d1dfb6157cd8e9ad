/** What verifying costs this machine: entry by entry as a reader does it, signature by signature, and as an audit does. */
import { approvalChecks } from '../../core/approved.ts';
import { decodeEntry, verifyEntry } from '../../core/chain.ts';
import type { EntryBytes } from '../../core/leaf.ts';
import type { Chain } from '../../core/rules.ts';
import type { SignedMessage, Verifier } from '../../core/verifier.ts';
import { createBlockingVerifier } from '../../server/native-verifier.ts';
import { NO_ERASURES } from '../audit-erasures.ts';
import { CommittedPayloads, Replay, type VerifySignatures } from '../audit-replay.ts';
import type { BenchClock } from './clock.ts';
import { type Latency, LatencyRecorder } from './histogram.ts';
import { rounded } from './load.ts';
import type { NewestEntries } from './newest-entries.ts';

export interface VerifyOptions extends NewestEntries {
  readonly clock: BenchClock;
  readonly verifier: Verifier;
  readonly verifySignatures: VerifySignatures;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

export interface VerifyResult {
  readonly entries: number;
  readonly signatures: number;
  readonly payload_bytes: number;
  /** One entry after the other, by every rule, its signatures on the thread pool. */
  readonly entries_per_second: number;
  readonly entry_us: Latency | null;
  /** Signatures alone, on one thread. */
  readonly signature_us: Latency | null;
  /** As `quorate verify` does it: the rules on one thread, the signatures of whole pages on others. */
  readonly audit_entries_per_second: number;
}

const PAGE = 256;

/** Everything is done twice, and the second time counts. Throws what `verifyEntry` throws. */
export async function runVerify(options: VerifyOptions): Promise<VerifyResult> {
  await verifyEach(options, new LatencyRecorder());
  const each = new LatencyRecorder();
  const signed = await verifyEach(options, each);
  const alone = new LatencyRecorder();
  verifySigned(options, signed, alone);
  // Its threads start, and admit keys each for itself, the first time.
  await replay(options);
  const audited = await replay(options);
  const { latency } = each;
  return {
    entries: latency?.count ?? 0,
    signatures: signed.length,
    payload_bytes: options.entries.reduce((sum, { payload }) => sum + payload.length, 0),
    entries_per_second: latency === null ? 0 : rounded(1_000_000 / latency.mean),
    entry_us: latency,
    signature_us: alone.latency,
    audit_entries_per_second: rounded(audited),
  };
}

/** Answers the signatures that they carry. */
async function verifyEach(
  { entries, before, clock, verifier, signal, onProgress }: VerifyOptions,
  recorder: LatencyRecorder,
): Promise<readonly SignedMessage[]> {
  const signed: SignedMessage[] = [];
  let chain: Chain | null = before?.chain ?? null;
  for (const [i, entry] of entries.entries()) {
    if (signal.aborted) break;
    signed.push(...signaturesOf(chain, entry));
    const began = clock.now();
    const appended = await verifyEntry(chain, entry, { verifier, isCommitted: () => false });
    recorder.record(clock.now() - began);
    chain = appended.chain;
    onProgress(i + 1, entries.length);
  }
  return signed;
}

function signaturesOf(chain: Chain | null, entry: EntryBytes): readonly SignedMessage[] {
  return approvalChecks(chain, decodeEntry(entry)).map((check) => check.signed);
}

function verifySigned(
  { clock }: VerifyOptions,
  signed: readonly SignedMessage[],
  recorder: LatencyRecorder,
): void {
  const verifier = createBlockingVerifier();
  // Admitting a key costs as much as many signatures, and is done once for each.
  for (const message of signed) verifier.verify(message);
  for (const message of signed) {
    const began = clock.now();
    verifier.verify(message);
    recorder.record(clock.now() - began);
  }
}

/** Entries a second. */
async function replay(options: VerifyOptions): Promise<number> {
  const { entries, before, leafAt, clock, verifier, verifySignatures, signal } = options;
  // A replay adds to what it is given: each has its own.
  const from = before && {
    ...before,
    committed: new CommittedPayloads(),
    erasures: NO_ERASURES,
  };
  const began = clock.now();
  const source = { setBefore: async ({ set }: Chain) => set, leafAt };
  const walk = new Replay({ verifySignatures, verifier, registry: undefined }, source, from);
  let done = 0;
  for (; done < entries.length && !signal.aborted; done += PAGE)
    await walk.add(entries.slice(done, done + PAGE));
  await walk.settled();
  const elapsedMs = clock.now() - began;
  return elapsedMs === 0 ? 0 : (Math.min(done, entries.length) * 1000) / elapsedMs;
}
