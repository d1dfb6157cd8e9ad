/**
 * Proposals in flight: accepted once, approved by verified signatures, committed through the
 * sequencer. What is kept here is durable in the store first; after a restart it is loaded and
 * verified again.
 */
import { type Approval, assertSignedInTime, decodeApprovals } from '../core/approval.ts';
import type { Appended, Chain } from '../core/chain.ts';
import { RegistryError } from '../core/error.ts';
import { type Hash, hashOf } from '../core/hash.ts';
import { type DecodedPayload, decodePayload } from '../core/payload.ts';
import { assertUnexpired } from '../core/rules.ts';
import { formatTime } from '../core/time.ts';
import type { Store } from '../store/store.ts';
import { assertAcceptable } from './acceptable.ts';
import { ApprovalCheck } from './approval-check.ts';
import type { RegistryLimits, RegistryOptions } from './options.ts';
import { expiredToDrop, inSteps, ProposalShelf } from './proposal-room.ts';
import {
  type CommittedProposal,
  type FindErasable,
  forgetErased,
  makePending,
  type Pending,
  pauseBetween,
  toRow,
  type ViewedAt,
  viewAllPending,
  viewCommitted,
  viewPending,
} from './proposal-view.ts';
import type { Proposals, ProposalView, PublishedHead } from './registry.ts';
import type { Sequencer } from './sequencer.ts';
import { damaged } from './stored.ts';

const RECENT_COMMITTED = 50;

export interface ProposalBookOptions
  extends Pick<RegistryOptions, 'store' | 'verifier' | 'metrics' | 'tracer' | 'log' | 'pins'>,
    Pick<RegistryOptions, 'decode' | 'hold' | 'now' | 'timers'> {
  readonly sequencer: Sequencer;
  readonly limits: RegistryLimits;
  /** Throws `draining` or why nothing is written. */
  readonly assertWritable: () => void;
  /** Resolves when the set at the head is known. */
  readonly known: () => Promise<void>;
  readonly findErasable: FindErasable;
  readonly committed: (version: number) => Promise<CommittedProposal | undefined>;
  readonly published: (version: number) => Promise<PublishedHead | undefined>;
}

export class ProposalBook implements Proposals {
  readonly #options: ProposalBookOptions;
  readonly #store: Store;
  readonly #pending = new ProposalShelf();
  /** On their way into the store. */
  readonly #arriving = new ProposalShelf();
  readonly #committing = new Map<Hash, Promise<Appended>>();
  readonly #recent: ProposalView[] = [];
  readonly #check: ApprovalCheck;
  readonly #decode: NonNullable<RegistryOptions['decode']>;

  constructor(options: ProposalBookOptions) {
    this.#options = options;
    this.#decode = options.decode ?? (async (bytes) => decodePayload(bytes));
    this.#store = options.store;
    this.#check = new ApprovalCheck({ ...options, chain: () => options.sequencer.chain });
  }

  /** After a start: what the store kept, each approval verified again. */
  async load(): Promise<void> {
    for (const stored of await this.#store.proposals()) {
      if ((await this.#store.committedVersion(stored.payloadB3)) !== undefined) continue;
      const found = hashOf(stored.payload);
      if (found !== stored.payloadB3)
        throw damaged(`expected proposal ${stored.payloadB3}, got bytes of ${found}`);
      const proposal = decodePayload(stored.payload);
      const pending = makePending(proposal, stored.receivedAt);
      for (const approval of stored.approvals)
        if (await this.#check.isValid(proposal, approval))
          pending.approvals.set(approval.signer_id, approval);
        else
          this.#options.log.error(
            'a stored approval is no valid signature by its signer and is left out',
            { proposal: stored.payloadB3, signer: approval.signer_id },
          );
      this.#pending.set(stored.payloadB3, pending);
    }
    this.#options.metrics.pendingProposals(this.#pending.size);
  }

  async propose(
    bytes: Uint8Array,
    options: Parameters<Proposals['propose']>[1] = {},
  ): Promise<{ isNew: boolean; proposal: ProposalView }> {
    using _ = this.#options.hold?.(bytes);
    const proposal = await this.#decode(bytes);
    await options.admit?.(proposal);
    const { payload, payloadB3 } = proposal;
    if (options.types !== undefined && !options.types.includes(payload.type))
      throw new RegistryError(
        'invalid_request',
        `expected a payload of type ${options.types.join(' or ')} here, got ${payload.type}`,
      );
    const known = await this.get(payloadB3);
    if (known !== undefined) return { isNew: false, proposal: known };
    this.#options.assertWritable();
    assertAcceptable(proposal, { ...this.#options, chain: this.#options.sequencer.chain });
    const { limits, now } = this.#options;
    const shelves = [this.#pending, this.#arriving];
    const expired = expiredToDrop(shelves, { proposal, limits, now: now() });
    const pending = makePending(proposal, this.#now());
    // In the same turn: others that come meanwhile see that this room is taken.
    this.#arriving.set(payloadB3, pending);
    try {
      await this.#drop(expired);
      // Shut meanwhile is shut: a freeze that is answered lets nothing in after it.
      this.#options.assertWritable();
      await this.#store.putProposal(toRow(pending));
      return await this.#keep(pending);
    } finally {
      this.#arriving.delete(payloadB3);
    }
  }

  async approve(id: Hash, approval: Approval): Promise<ProposalView> {
    const pending = this.#pending.get(id);
    if (pending === undefined) return this.#approveCommitted(id, approval);
    this.#options.assertWritable();
    const { proposal } = pending;
    assertUnexpired(proposal, this.#now());
    assertSignedInTime(approval, { createdAt: proposal.payload.created_at, now: this.#now() });
    await this.#check.assertValid(proposal, approval);
    this.#options.assertWritable();
    // Of this signer the store may hold what a start left out: that must not stand in the way.
    const isReplacing = !pending.approvals.has(approval.signer_id);
    const answer = await this.#store.putApproval(id, approval, { isReplacing });
    if (answer === 'added') pending.approvals.set(approval.signer_id, approval);
    // Whether what is being committed holds it, only its entry can say.
    await Promise.allSettled([this.#committing.get(id)]);
    if (answer === 'no_proposal' || this.#pending.get(id) !== pending)
      return this.#approveCommitted(id, approval);
    return viewPending(pending, await this.#here());
  }

  async commit(
    id: Hash,
    options: { corrId?: string } = {},
  ): Promise<{ isNew: boolean; head: PublishedHead }> {
    const pending = this.#pending.get(id);
    const running = this.#committing.get(id);
    if (pending === undefined || running !== undefined) {
      await running;
      return { isNew: false, head: await this.#committedHead(id) };
    }
    const started = performance.now();
    try {
      this.#options.assertWritable();
      const commit = this.#options.sequencer.commit({
        proposal: pending.proposal,
        corrId: options.corrId,
        approvals: () => [...pending.approvals.values()],
      });
      this.#committing.set(id, commit);
      const { leaf } = await commit;
      this.#options.metrics.commit({
        seconds: (performance.now() - started) / 1000,
        approvals: pending.approvals.size,
      });
      return { isNew: true, head: await this.#headOf(leaf.version) };
    } catch (error) {
      if (!(error instanceof RegistryError && error.code === 'replayed')) {
        this.#options.metrics.updated(resultOf(error));
        throw error;
      }
      this.#pending.delete(id);
      return { isNew: false, head: await this.#committedHead(id) };
    } finally {
      this.#committing.delete(id);
    }
  }

  async get(id: Hash): Promise<ProposalView | undefined> {
    if (this.#pending.get(id) !== undefined) {
      const here = await this.#here();
      const pending = this.#pending.get(id);
      if (pending !== undefined) return viewPending(pending, here);
    }
    const committed = await this.#committed(id);
    return (
      committed &&
      viewCommitted(committed.proposal, { ...committed, version: committed.head.version })
    );
  }

  async list(): Promise<readonly ProposalView[]> {
    const here = await this.#here();
    // As of now: one that is committed meanwhile is not there twice.
    const recent = [...this.#recent];
    const pending = await viewAllPending(this.#pending.values().toReversed(), here);
    return [...pending, ...recent];
  }

  async payload(id: Hash): Promise<DecodedPayload | undefined> {
    return this.#pending.get(id)?.proposal ?? (await this.#committed(id))?.proposal;
  }

  /** When an entry is visible: its proposal is no longer in flight. Synchronous: part of publishing. */
  settle(
    appended: readonly Appended[],
    before: (version: number) => Pick<Chain, 'governance'> | null,
  ): void {
    for (const { leaf, entry } of appended) {
      const pending = this.#pending.get(leaf.payload_b3);
      if (pending === undefined) continue;
      this.#pending.delete(leaf.payload_b3);
      this.#recent.unshift(
        viewCommitted(pending.proposal, {
          approvals: decodeApprovals(entry.approvals),
          chain: before(leaf.version),
          version: leaf.version,
        }),
      );
      forgetErased(this.#recent, pending.proposal.payload);
    }
    this.#recent.length = Math.min(this.#recent.length, RECENT_COMMITTED);
    this.#options.metrics.pendingProposals(this.#pending.size);
  }

  async #drop(ids: readonly Hash[]): Promise<void> {
    for (const step of inSteps(ids, this.#pending)) {
      await this.#store.dropProposals(step);
      for (const id of step) this.#pending.delete(id);
    }
  }

  /** The same payload may have been kept, or committed, while this one became durable. */
  async #keep(pending: Pending): Promise<{ isNew: boolean; proposal: ProposalView }> {
    const id = pending.proposal.payloadB3;
    const committed = await this.#committed(id);
    if (committed !== undefined) {
      await this.#store.dropProposals([id]);
      return {
        isNew: false,
        proposal: viewCommitted(committed.proposal, {
          ...committed,
          version: committed.head.version,
        }),
      };
    }
    // From here on nothing is awaited: whoever is second finds the first one's proposal.
    const known = this.#pending.get(id);
    this.#pending.set(id, known ?? pending);
    this.#options.metrics.pendingProposals(this.#pending.size);
    return {
      isNew: known === undefined,
      proposal: await viewPending(known ?? pending, await this.#here()),
    };
  }

  /** Too late to count: only the very approval that the entry holds is acknowledged. */
  async #approveCommitted(id: Hash, approval: Approval): Promise<ProposalView> {
    const committed = await this.#committed(id);
    if (committed === undefined) throw this.#options.sequencer.fatal ?? unknownProposal(id);
    const { version } = committed.head;
    if (
      !committed.approvals.some(
        (a) =>
          a.sig === approval.sig &&
          a.signer_id === approval.signer_id &&
          a.signed_at === approval.signed_at,
      )
    )
      throw new RegistryError(
        'conflict',
        `expected a proposal in flight, got one committed as version ${version}: the approval was not recorded`,
        {
          details: { version },
        },
      );
    return viewCommitted(committed.proposal, { ...committed, version });
  }

  async #committed(id: Hash): Promise<CommittedProposal | undefined> {
    const version = await this.#store.committedVersion(id);
    return version === undefined ? undefined : this.#options.committed(version);
  }

  async #committedHead(id: Hash): Promise<PublishedHead> {
    const version = await this.#store.committedVersion(id);
    if (version === undefined) throw unknownProposal(id);
    return this.#headOf(version);
  }

  async #headOf(version: number): Promise<PublishedHead> {
    const head = await this.#options.published(version);
    if (head === undefined)
      throw new RegistryError(
        'internal',
        `expected version ${version} to be visible after its commit, got nothing`,
      );
    return head;
  }

  async #here(): Promise<ViewedAt> {
    const { sequencer, timers, findErasable, known } = this.#options;
    await known();
    const pause = pauseBetween(timers.soon);
    return { chain: sequencer.chain, now: this.#now(), pause, findErasable };
  }

  #now(): string {
    return formatTime(this.#options.now());
  }
}

function unknownProposal(id: Hash): RegistryError {
  return new RegistryError('unknown_proposal', `expected the id of a proposal, got ${id}`, {
    details: { proposal_id: id },
  });
}

function resultOf(error: unknown): 'rejected' | 'conflict' | 'unknown' {
  const code = error instanceof RegistryError ? error.code : 'outcome_unknown';
  if (code === 'outcome_unknown') return 'unknown';
  return code === 'conflict' ? 'conflict' : 'rejected';
}
