/**
 * What the registry is supposed to do, in the fewest words: no bytes, no hashes, no store. The model
 * test holds the real one against it.
 */
export interface ModelChange {
  readonly id: string;
  /** `null` removes. */
  readonly value: number | null;
  /** The value it expects to replace, `null`: none. */
  readonly replaces: number | null;
}

export interface ModelGovernance {
  readonly signers: readonly number[];
  readonly threshold: number;
}

interface ModelProposal {
  readonly expiresAt: number;
  readonly changes: readonly ModelChange[];
  readonly governance?: ModelGovernance;
  /** The governance it replaces, by its count. */
  readonly replaces?: number;
  readonly approved: Set<number>;
  version: number | undefined;
}

type Verdict =
  | 'ok'
  | 'known'
  | 'expired'
  | 'unknown_signer'
  | 'conflict'
  | 'quorum_not_reached'
  | 'fence_broken';

export class Model {
  now = 0;
  version = 0;
  governance: ModelGovernance;
  governanceVersion = 1;
  readonly set = new Map<string, number>();
  readonly proposals: ModelProposal[] = [];

  constructor(governance: ModelGovernance) {
    this.governance = governance;
  }

  propose(proposal: Omit<ModelProposal, 'approved' | 'version'>): Verdict {
    if (this.now > proposal.expiresAt) return 'expired';
    this.proposals.push({ ...proposal, approved: new Set(), version: undefined });
    return 'ok';
  }

  approve(index: number, signer: number): Verdict {
    const proposal = this.#at(index);
    if (proposal.version !== undefined) return proposal.approved.has(signer) ? 'ok' : 'conflict';
    if (this.now > proposal.expiresAt) return 'expired';
    if (!this.#eligible(proposal).includes(signer)) return 'unknown_signer';
    proposal.approved.add(signer);
    return 'ok';
  }

  commit(index: number): Verdict {
    const proposal = this.#at(index);
    if (proposal.version !== undefined) return 'known';
    if (this.now > proposal.expiresAt) return 'expired';
    const approved = [...proposal.approved].filter((s) => this.#eligible(proposal).includes(s));
    if (!this.#isQuorum(proposal, approved)) return 'quorum_not_reached';
    if (proposal.replaces !== undefined && proposal.replaces !== this.governanceVersion)
      return 'fence_broken';
    if (proposal.changes.some(({ id, replaces }) => (this.set.get(id) ?? null) !== replaces))
      return 'fence_broken';
    for (const { id, value } of proposal.changes)
      if (value === null) this.set.delete(id);
      else this.set.set(id, value);
    if (proposal.governance !== undefined) {
      this.governance = proposal.governance;
      this.governanceVersion++;
    }
    proposal.version = ++this.version;
    // What the entry holds is what may be acknowledged later.
    for (const signer of proposal.approved)
      if (!approved.includes(signer)) proposal.approved.delete(signer);
    return 'ok';
  }

  #isQuorum({ governance }: ModelProposal, approved: readonly number[]): boolean {
    const count = (signers: readonly number[]): number =>
      approved.filter((s) => signers.includes(s)).length;
    if (count(this.governance.signers) < this.governance.threshold) return false;
    if (governance === undefined) return true;
    const entering = governance.signers.filter((s) => !this.governance.signers.includes(s));
    return count(governance.signers) >= governance.threshold && count(entering) === entering.length;
  }

  #eligible({ governance }: ModelProposal): number[] {
    return [...this.governance.signers, ...(governance?.signers ?? [])];
  }

  #at(index: number): ModelProposal {
    const proposal = this.proposals[index];
    if (proposal === undefined) throw new RangeError(`no proposal ${index}`);
    return proposal;
  }
}
