/** Puts the parts of the verifying client together. */
import { RegistryError } from '../core/error.ts';
import { SKEW_MS } from '../core/time.ts';
import { NO_WITNESSES, parsePolicy } from '../core/tlog/policy.ts';
import { createPortableVerifier } from '../core/verifier.ts';
import { Answers, shown } from './answers.ts';
import type { ClaimRules } from './claim.ts';
import type {
  Client,
  ClientOptions,
  VerifiedDescriptor,
  VerifiedEntry,
  VerifiedSet,
} from './client.ts';
import { type Clock, systemClock } from './clock.ts';
import { follow } from './follower.ts';
import { type Key, provenDescriptor, treeOf } from './known-set.ts';
import { memoryTrust } from './memory-trust.ts';
import { askPastEntry } from './past-entries.ts';
import { Transport } from './transport.ts';
import { TrustedLog } from './trusted-log.ts';
import { headOf, type TrustedState } from './trusted-state.ts';
import { createWrites } from './writes.ts';

interface Parts {
  readonly answers: Answers;
  readonly log: TrustedLog;
}

/** Asks nothing yet. Throws `invalid_request` for a bad `url` or `policy`. `clock` is for tests that drive time. */
export function createClient(
  options: ClientOptions,
  clock: Clock = systemClock(options.now),
): Client {
  const { url, token, timeoutMs = 30_000, maxAttempts = 4, staleAfterMs = 120_000 } = options;
  // Browsers refuse a `fetch` that is called as a method of something else.
  const fetch: typeof globalThis.fetch =
    options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  const { onRetry } = options;
  const transport = new Transport({ url, fetch, clock, timeoutMs, maxAttempts, token, onRetry });
  const answers = new Answers(transport);
  const { registry, acceptPruned = false, onFirstUse, onProgress, onFork } = options;
  const verifier = options.verifier ?? createPortableVerifier();
  const log = new TrustedLog({
    answers,
    clock,
    maxAttempts,
    registry,
    acceptPruned,
    verifier,
    trust: options.trust ?? memoryTrust(),
    rules: rulesOf({ noteVerifier: verifier, ...options }, clock),
    ...(onFirstUse === undefined ? {} : { onFirstUse }),
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(onFork === undefined ? {} : { onFork }),
  });
  const parts = { answers, log };
  return {
    head: async () => headOf(await log.catchUp()),
    entry: (version) => entryAt(parts, version),
    descriptor: (key) => descriptorAtHead(parts, key),
    set: () => setAtHead(parts),
    follow: ({ signal } = {}) =>
      follow(
        {
          ...parts,
          clock,
          timeoutMs,
          staleAfterMs,
          ...(onProgress === undefined ? {} : { onProgress }),
        },
        signal,
      ),
    trusted: () => log.state?.chain,
    ...createWrites(transport),
  };
}

function rulesOf(
  options: ClientOptions & Required<Pick<ClientOptions, 'noteVerifier'>>,
  clock: Clock,
): ClaimRules {
  const { policy: text, maxStaleMs, maxSkewMs = SKEW_MS, noteVerifier } = options;
  const policy = text === undefined ? NO_WITNESSES : parsePolicy(text);
  if (maxStaleMs !== undefined && policy.quorum === null)
    throw new RegistryError(
      'invalid_request',
      'expected a policy that names a quorum beside maxStaleMs, got none: without witnesses nobody says how old a head is',
    );
  return { verifier: noteVerifier, policy, maxStaleMs, maxSkewMs, now: () => clock.now() };
}

async function entryAt({ answers, log }: Parts, version: number): Promise<VerifiedEntry> {
  if (!Number.isSafeInteger(version) || version < 0)
    throw new RegistryError('invalid_request', `expected a version, 0 or more, got ${version}`);
  const trusted = await log.load();
  const { chain } =
    trusted === null || version > trusted.chain.version ? await log.catchUp() : trusted;
  if (version > chain.version)
    throw new RegistryError(
      'not_found',
      `expected a version up to ${chain.version}, got ${version}`,
    );
  return shown(askPastEntry(version, { answers, log, bounds: {} }), `entry ${version}`);
}

async function descriptorAtHead(
  { answers, log }: Parts,
  { kind, id }: Key,
): Promise<VerifiedDescriptor> {
  return atHead(log, async (state) => {
    const { version, set } = state.chain;
    const served = await answers.descriptor({ version, kind, id });
    return { head: headOf(state), descriptor: provenDescriptor(set, { kind, id }, served) };
  });
}

async function setAtHead({ answers, log }: Parts): Promise<VerifiedSet> {
  return atHead(log, async (state) => {
    const { version, set } = state.chain;
    const items = await answers.set({ version, size: set.size });
    treeOf(items, set);
    return { head: headOf(state), items };
  });
}

/**
 * Asks at the verified head; once more when the head moved meanwhile. `not_found` never leaves here: it
 * is a server's word, and only a proof says that something is absent.
 */
async function atHead<T>(log: TrustedLog, ask: (state: TrustedState) => Promise<T>): Promise<T> {
  const state = await log.catchUp();
  const { version } = state.chain;
  try {
    return await ask(state);
  } catch (error) {
    if (!(error instanceof RegistryError) || !['not_found', 'invalid_proof'].includes(error.code))
      throw error;
    const moved = await log.catchUp();
    if (moved.chain.version > version) return ask(moved);
    if (error.code === 'invalid_proof') throw error;
    throw new RegistryError(
      'unexpected_answer',
      `expected an answer at version ${version}, which is the head, got not found`,
      { cause: error },
    );
  }
}
