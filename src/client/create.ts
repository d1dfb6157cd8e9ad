/** Puts the parts of the verifying client together. */
import { RegistryError } from '../core/error.ts';
import type { Chain } from '../core/rules.ts';
import { createPortableVerifier } from '../core/verifier.ts';
import { Answers } from './answers.ts';
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
import { provePastEntry } from './past-entries.ts';
import { Transport } from './transport.ts';
import { TrustedLog } from './trusted-log.ts';
import { headOf } from './trusted-state.ts';
import { createWrites } from './writes.ts';

interface Parts {
  readonly answers: Answers;
  readonly log: TrustedLog;
}

/** Asks nothing yet. Throws `invalid_request` for a bad `url`. `clock` is for tests that drive time. */
export function createClient(
  options: ClientOptions,
  clock: Clock = systemClock(options.now),
): Client {
  const { url, timeoutMs = 30_000, maxAttempts = 4, staleAfterMs = 120_000 } = options;
  // Browsers refuse a `fetch` that is called as a method of something else.
  const fetch: typeof globalThis.fetch =
    options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  const transport = new Transport({ url, fetch, clock, timeoutMs, maxAttempts });
  const answers = new Answers(transport);
  const { registry, onFirstUse, onProgress } = options;
  const log = new TrustedLog({
    answers,
    registry,
    trust: options.trust ?? memoryTrust(),
    verifier: options.verifier ?? createPortableVerifier(),
    ...(onFirstUse === undefined ? {} : { onFirstUse }),
    ...(onProgress === undefined ? {} : { onProgress }),
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
    trusted: () => log.chain,
    ...createWrites(transport),
  };
}

async function entryAt({ answers, log }: Parts, version: number): Promise<VerifiedEntry> {
  if (!Number.isSafeInteger(version) || version < 0)
    throw new RegistryError('invalid_request', `expected a version, 0 or more, got ${version}`);
  const chain = await log.load();
  if (chain === undefined || version > chain.version) await log.catchUp();
  const newest = log.chain?.version ?? -1;
  if (version > newest)
    throw new RegistryError('not_found', `expected a version up to ${newest}, got ${version}`);
  return provePastEntry(await answers.entry(version), { answers, hashes: log, bounds: {} });
}

async function descriptorAtHead(
  { answers, log }: Parts,
  { kind, id }: Key,
): Promise<VerifiedDescriptor> {
  return atHead(log, async (chain) => {
    const served = await answers.descriptor({ version: chain.version, kind, id });
    return { head: headOf(chain), descriptor: provenDescriptor(chain.set, { kind, id }, served) };
  });
}

async function setAtHead({ answers, log }: Parts): Promise<VerifiedSet> {
  return atHead(log, async (chain) => {
    const items = await answers.set(chain.version);
    treeOf(items, chain.set);
    return { head: headOf(chain), items };
  });
}

/**
 * Asks at the verified head; once more when the head moved meanwhile. `not_found` never leaves here: it
 * is a server's word, and only a proof says that something is absent.
 */
async function atHead<T>(log: TrustedLog, ask: (chain: Chain) => Promise<T>): Promise<T> {
  const chain = await log.catchUp();
  try {
    return await ask(chain);
  } catch (error) {
    if (!(error instanceof RegistryError) || !['not_found', 'invalid_proof'].includes(error.code))
      throw error;
    const moved = await log.catchUp();
    if (moved.version > chain.version) return ask(moved);
    if (error.code === 'invalid_proof') throw error;
    throw new RegistryError(
      'unexpected_answer',
      `expected an answer at version ${chain.version}, which is the head, got not found`,
      { cause: error },
    );
  }
}
