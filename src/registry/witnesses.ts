/**
 * The witnesses of a policy as one cosigner: each is asked on its own, and each cosignature is taken as
 * it comes. Holds writes back until enough of them have seen what this store holds, and for good once
 * one of them contradicts it.
 */
import { RegistryError } from '../core/error.ts';
import { ADD_CHECKPOINT_PATH } from '../core/tlog/add-checkpoint.ts';
import { isSatisfied, type PolicyWitness, type WitnessPolicy } from '../core/tlog/policy.ts';
import type { Cosigner, CosignerPort, OpenCosigner } from './cosigners.ts';
import type { PublishedCheckpoint } from './registry.ts';
import { alarmRefusal, Witness, type WitnessWorld } from './witness.ts';

type Asked = PolicyWitness & { readonly url: string };

/** Throws `invalid_request` for a policy whose quorum cannot be reached through witnesses with a url. */
export function openWitnesses(policy: WitnessPolicy, world: WitnessWorld): OpenCosigner {
  const asked = policy.witnesses.filter((witness): witness is Asked => witness.url !== null);
  if (!isSatisfied(policy, new Set(asked.map(({ name }) => name))))
    throw new RegistryError(
      'invalid_request',
      `expected a url for enough witnesses of the quorum ${policy.quorum}, got one for ${asked.length} of ${policy.witnesses.length}: add the url to their lines`,
    );
  return (port) => new Witnesses({ policy, asked, world, port });
}

class Witnesses implements Cosigner {
  readonly #policy: WitnessPolicy;
  readonly #witnesses: readonly Witness[];
  /** Have signed what this process began with, or more. */
  readonly #confirmed = new Set<string>();
  /** Have been asked, whatever came of it. */
  readonly #asked = new Set<string>();
  #newest: PublishedCheckpoint | undefined;
  #alarm: RegistryError | undefined;
  #isConfirmed = false;

  constructor({
    policy,
    asked,
    world,
    port,
  }: {
    policy: WitnessPolicy;
    asked: readonly Asked[];
    world: WitnessWorld;
    port: CosignerPort;
  }) {
    this.#policy = policy;
    this.#witnesses = asked.map(
      ({ name, key, url }) =>
        new Witness({
          ...world,
          name,
          key,
          url: `${url}${ADD_CHECKPOINT_PATH}`,
          prove: port.prove,
          newest: () => this.#required(),
          onCosigned: (size, signature) => {
            this.#confirmed.add(name);
            port.onCosigned(size, [signature]);
          },
          onAlarm: (alarm) => {
            // The first one is the one to read about.
            this.#alarm ??= alarmRefusal(alarm);
          },
          onAsked: () => this.#asked.add(name),
        }),
    );
  }

  submit(checkpoint: PublishedCheckpoint): void {
    this.#newest = checkpoint;
    for (const witness of this.#witnesses) witness.wake();
  }

  refusal(): RegistryError | undefined {
    if (this.#alarm !== undefined) return this.#alarm;
    if (this.#isConfirmed || this.#newest === undefined) return undefined;
    const missing = this.#missing();
    if (missing === undefined) {
      this.#isConfirmed = true;
      return undefined;
    }
    return new RegistryError(
      'not_ready',
      `expected witnesses to confirm that they know nothing newer than the ${this.#newest.size} entries here, got no answer yet from ${missing.join(', ')}: the log names why; repeat later`,
      { details: { missing } },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#witnesses.map((witness) => witness.close()));
  }

  /** Names; `undefined` when enough have answered for a first write. */
  #missing(): readonly string[] | undefined {
    const names = this.#witnesses.map(({ name }) => name);
    // Where nobody's cosignature is needed, nobody who is away can hold up a write for long.
    const heard = this.#policy.quorum === null ? this.#asked : this.#confirmed;
    const missing = names.filter((name) => !heard.has(name));
    const isEnough =
      this.#policy.quorum === null ? missing.length === 0 : isSatisfied(this.#policy, heard);
    return isEnough ? undefined : missing;
  }

  #required(): PublishedCheckpoint {
    if (this.#newest === undefined)
      throw new RegistryError('internal', 'expected a checkpoint to be cosigned, got none yet');
    return this.#newest;
  }
}
