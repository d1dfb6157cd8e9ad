/** Whether an approval counts for a proposal now: its signer is in force and its signature holds. */
import { type Approval, isApprovalValid, type Statement } from '../core/approval.ts';
import type { Chain } from '../core/chain.ts';
import { RegistryError } from '../core/error.ts';
import { type DecodedPayload, registryOf } from '../core/payload.ts';
import { eligibleSigners } from '../core/quorum.ts';
import { NO_TRACER } from '../telemetry/tracer.ts';
import type { RegistryOptions } from './options.ts';

export interface ApprovalCheckOptions
  extends Pick<RegistryOptions, 'verifier' | 'metrics' | 'tracer'> {
  readonly chain: () => Chain | null;
}

/** The key that the id names for the life of the registry, whether it may count now or not. */
export function approvalKey(
  chain: Pick<Chain, 'governance' | 'signerKeys'> | null,
  { payload }: DecodedPayload,
  signerId: string,
): string | undefined {
  const eligible = eligibleSigners(payload, chain?.governance ?? null);
  return eligible.get(signerId) ?? chain?.signerKeys.get(signerId);
}

/** What approvals of a proposal state. */
export function statementOf(proposal: DecodedPayload): Omit<Statement, 'signedAt'> {
  return {
    origin: proposal.payload.origin,
    registry: registryOf(proposal),
    payloadB3: proposal.payloadB3,
  };
}

export class ApprovalCheck {
  readonly #options: ApprovalCheckOptions;

  constructor(options: ApprovalCheckOptions) {
    this.#options = options;
  }

  /** Throws `unknown_signer` or `invalid_signature`. */
  async assertValid(proposal: DecodedPayload, approval: Approval): Promise<void> {
    const { signer_id } = approval;
    if (!this.#eligible(proposal).has(signer_id))
      throw new RegistryError(
        'unknown_signer',
        `expected an approval by a signer in force, got one by ${signer_id}`,
        { details: { signer_id } },
      );
    if (!(await this.isValid(proposal, approval)))
      throw new RegistryError(
        'invalid_signature',
        `expected a signature by ${signer_id} over ${proposal.payloadB3}, got one that does not verify`,
        { details: { signer_id } },
      );
  }

  /** Under `approvalKey`. */
  async isValid(proposal: DecodedPayload, approval: Approval): Promise<boolean> {
    const { signer_id } = approval;
    const publicKey = approvalKey(this.#options.chain(), proposal, signer_id);
    if (publicKey === undefined) return false;
    const { verifier, metrics, tracer = NO_TRACER } = this.#options;
    const statement = statementOf(proposal);
    const started = performance.now();
    const isValid = await tracer.span('verify', () =>
      isApprovalValid(verifier, { approval, publicKey, statement }),
    );
    metrics.approvalVerified((performance.now() - started) / 1000);
    return isValid;
  }

  #eligible({ payload }: DecodedPayload): ReadonlyMap<string, string> {
    return eligibleSigners(payload, this.#options.chain()?.governance ?? null);
  }
}
