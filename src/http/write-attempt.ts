/** One write on its way: who brought it, what it is about as far as is known, and the audit record it ends as. */
import { errorCode } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import { changesOf, type DecodedPayload, registryOf } from '../core/payload.ts';
import type { AuditEvent } from '../telemetry/audit.ts';
import type { Attempt, Operation, Principal } from './authority.ts';

export class WriteAttempt {
  readonly corrId: string;
  readonly #operation: Operation;
  readonly #client: string;
  #principal: Principal | undefined;
  #proposal: Hash | null = null;
  #blob: Hash | undefined;
  #signer: string | null = null;
  #version: number | null = null;

  constructor(made: { operation: Operation; corrId: string; client: string }) {
    this.#operation = made.operation;
    this.corrId = made.corrId;
    this.#client = made.client;
  }

  /** Without one, nothing but the rules decides. */
  broughtBy(principal: Principal): void {
    this.#principal = principal;
  }

  /** The proposal that the request names, whether there is one or not. */
  about(proposal: Hash): void {
    this.#proposal = proposal;
  }

  /** To be asked once the payload is known. Throws `forbidden`. */
  async authorize(proposal: DecodedPayload): Promise<void> {
    this.#proposal = proposal.payloadB3;
    await this.#principal?.authorize(attemptOf(this.#operation, proposal));
  }

  /** The address that the request names. */
  aboutBlob(address: Hash): void {
    this.#blob = address;
  }

  /** Throws `forbidden`. A token that is bound to proposals, kinds or ids allows no blob. */
  async authorizeBlob(registry: Hash): Promise<void> {
    const operation = this.#operation;
    await this.#principal?.authorize({
      operation,
      registry,
      proposal: null,
      kinds: [],
      idPrefix: null,
    });
  }

  signedBy(signerId: string): void {
    this.#signer = signerId;
  }

  committedAs(version: number): void {
    this.#version = version;
  }

  /** `refusal`: what was thrown, if anything was. */
  event(refusal?: { readonly error: unknown }): AuditEvent {
    const code = refusal === undefined ? null : errorCode(refusal.error);
    return {
      act: this.#operation,
      decision: refusal === undefined ? 'accepted' : 'refused',
      code,
      reason: null,
      client: this.#client,
      token: this.#principal?.id ?? null,
      signer: this.#signer,
      proposal: this.#proposal,
      ...(this.#blob !== undefined && { blob: this.#blob }),
      version: this.#version,
      corrId: this.corrId,
    };
  }
}

export function attemptOf(operation: Operation, proposal: DecodedPayload): Attempt {
  const changes = changesOf(proposal.payload);
  return {
    operation,
    registry: registryOf(proposal),
    proposal: proposal.payloadB3,
    kinds: [...new Set(changes.map(({ kind }) => kind))].sort(),
    idPrefix: changes.length === 0 ? null : commonPrefix(changes.map(({ id }) => id)),
  };
}

/** The one of all is the one of the least and the greatest. */
function commonPrefix(texts: readonly string[]): string {
  let [least = ''] = texts;
  let greatest = least;
  for (const text of texts) {
    if (text < least) least = text;
    if (text > greatest) greatest = text;
  }
  let length = 0;
  while (length < least.length && least[length] === greatest[length]) length++;
  return least.slice(0, length);
}
