/**
 * The cosigners of a server, from its configuration: witnesses elsewhere, the clock, the high-water
 * mark. Whatever is wrong with what the settings name is told before anything is opened.
 */
import { readFile } from 'node:fs/promises';
import { RegistryError } from '../core/error.ts';
import { NO_WITNESSES, parsePolicy, type WitnessPolicy } from '../core/tlog/policy.ts';
import { clockNameOf, openClock } from '../registry/clock.ts';
import type { OpenCosigner } from '../registry/cosigners.ts';
import { openHighWater } from '../registry/high-water.ts';
import { createCosignerKey } from '../registry/witness-cosign.ts';
import { openWitnesses } from '../registry/witnesses.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Config } from './config.ts';
import { assertMarkCanBeKept, createMarkFile } from './high-water-file.ts';
import { createNativeVerifier } from './native-verifier.ts';
import { createNoteVerifier } from './note-verifier.ts';
import { openSigningKey } from './signing-key.ts';
import { TIMERS } from './timers.ts';
import { postToWitness } from './witness-post.ts';

const WITNESS_TIMEOUT_MS = 10_000;

export interface CosignerParts {
  readonly metrics: Metrics;
  readonly log: Log;
}

/** Throws `invalid_request`, naming the setting or the file and the remedy. */
export async function openCosigners(
  { cosigners }: Pick<Config, 'cosigners'>,
  { metrics, log }: CosignerParts,
): Promise<readonly OpenCosigner[]> {
  const world = { metrics, log, now: Date.now, timers: TIMERS, verifier: createNoteVerifier() };
  const { witnessPolicy, clockKey, highWater } = cosigners;
  const opened: OpenCosigner[] = [];
  if (clockKey !== null)
    opened.push(
      openClock({
        ...world,
        signer: await openSigningKey(clockKey),
        name: cosigners.clockName,
        intervalMs: cosigners.clockIntervalMs,
      }),
    );
  if (highWater !== null) {
    await assertMarkCanBeKept(highWater);
    opened.push(openHighWater({ ...world, file: createMarkFile(highWater) }));
  }
  if (witnessPolicy !== null)
    opened.push(
      openWitnesses(await readWitnessPolicy(witnessPolicy), {
        ...world,
        post: postToWitness,
        random: Math.random,
        recosignMs: cosigners.recosignMs,
        timeoutMs: WITNESS_TIMEOUT_MS,
      }),
    );
  return opened;
}

/** Throws `invalid_request` for a file that cannot be read or used, naming it. */
async function readWitnessPolicy(path: string): Promise<WitnessPolicy> {
  try {
    const policy = parsePolicy(await readFile(path, 'utf8'));
    const { admit } = createNativeVerifier();
    for (const { name, key } of policy.witnesses)
      if (key.type === 'cosigner' && !admit(key.publicKey))
        throw new RegistryError(
          'invalid_request',
          `expected a key on the curve for the witness ${name}, got another`,
        );
    return policy;
  } catch (cause) {
    const isRefused =
      !(cause instanceof RegistryError) && cause instanceof Error && 'code' in cause;
    const got = isRefused ? cause.code : cause instanceof Error ? cause.message : cause;
    throw new RegistryError(
      'invalid_request',
      `expected a policy that can be used as witness_policy at ${path}, got ${got}`,
      { cause },
    );
  }
}

/** What readers may be told of them: the policy in force, and the clock's verifier key for an origin. */
export async function loadPolicyParts(
  { witnessPolicy, clockKey, clockName }: Config['cosigners'],
  origin: string,
): Promise<{ readonly policy: WitnessPolicy; readonly clock: string | null }> {
  const policy = witnessPolicy === null ? NO_WITNESSES : await readWitnessPolicy(witnessPolicy);
  if (clockKey === null) return { policy, clock: null };
  const signer = await openSigningKey(clockKey);
  return { policy, clock: createCosignerKey(clockName ?? clockNameOf(origin), signer).vkey };
}
