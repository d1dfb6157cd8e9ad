/** One write from end to end, made and signed ahead: what proposer, signers and committer send of it. */
import type { VerifiedHead } from '../../client/client.ts';
import type { Approval } from '../../core/approval.ts';
import { canonicalBytes } from '../../core/canonical.ts';
import type { DecodedPayload } from '../../core/payload.ts';
import type { Verifier } from '../../core/verifier.ts';
import { draftDescriptors } from '../draft.ts';
import { signApproval } from '../signing.ts';
import type { BenchClock } from './clock.ts';
import { LatencyRecorder } from './histogram.ts';
import type { HttpSender, Sent } from './http-sender.ts';
import { type Fault, faultOf } from './load.ts';
import type { BenchSigner } from './signers.ts';

export interface Cycle {
  readonly proposal: DecodedPayload;
  readonly approvals: readonly Approval[];
}

export interface CycleParts {
  readonly head: Pick<VerifiedHead, 'origin' | 'registry'>;
  readonly signers: readonly BenchSigner[];
  /** Bytes of a payload, about. */
  readonly size: number;
  /** Begins the id of every descriptor: no other run has it. */
  readonly runId: string;
  readonly lifetimeMs: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly verifier: Verifier;
}

const KIND = 'bench';

/** Makes cycles, each with a descriptor of its own. */
export class CycleMaker {
  readonly #parts: CycleParts;
  readonly #text: string;
  #made = 0;

  constructor(parts: CycleParts) {
    this.#parts = parts;
    const { bytes } = draft(parts, 0, '');
    this.#text = 'x'.repeat(Math.max(0, parts.size - bytes.length));
  }

  async make(): Promise<Cycle> {
    const { signers, verifier, now } = this.#parts;
    const proposal = draft(this.#parts, this.#made++, this.#text);
    const approvals: Approval[] = [];
    for (const signer of signers)
      approvals.push(await signApproval(proposal, { ...signer, now: now(), verifier }));
    return { proposal, approvals };
  }
}

function draft(parts: CycleParts, index: number, text: string): DecodedPayload {
  const { head, runId, lifetimeMs, now } = parts;
  const change = {
    op: 'put',
    kind: KIND,
    id: `${runId}-${index}`,
    replaces: null,
    spec: { text },
  } as const;
  return draftDescriptors(head, [change], { now: now(), lifetimeMs, note: 'quorate bench' });
}

export type Step = 'propose' | 'approve' | 'commit';

export const ALL_STEPS: readonly Step[] = ['propose', 'approve', 'commit'];

const EXPECTED = { propose: [202], approve: [200], commit: [201] } as const;

/** Sends the steps of cycles, one after the other, and records how long each took. */
export class CycleSender {
  readonly #sender: HttpSender;
  readonly #clock: BenchClock;
  readonly #headers: Readonly<Record<string, string>>;
  readonly recorders: Readonly<Record<Step, LatencyRecorder>> = {
    propose: new LatencyRecorder(),
    approve: new LatencyRecorder(),
    commit: new LatencyRecorder(),
  };

  constructor({
    sender,
    clock,
    token,
  }: {
    readonly sender: HttpSender;
    readonly clock: BenchClock;
    readonly token: string | undefined;
  }) {
    this.#sender = sender;
    this.#clock = clock;
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  /** Ends with the first step that fails, and names it. */
  async run(
    cycle: Cycle,
    { steps, isCounted }: { readonly steps: readonly Step[]; readonly isCounted: boolean },
  ): Promise<Fault> {
    for (const step of steps)
      for (const sent of this.#requestsOf(cycle, step)) {
        const fault = await this.#send(step, sent, isCounted);
        if (fault !== undefined) return `${step}: ${fault}`;
      }
    return undefined;
  }

  #send(step: Step, sent: Sent, isCounted: boolean): Promise<Fault> {
    const began = this.#clock.now();
    return new Promise((resolve) =>
      this.#sender.send(sent, (outcome) => {
        const fault = faultOf(outcome, EXPECTED[step]);
        if (isCounted && fault === undefined)
          this.recorders[step].record(this.#clock.now() - began);
        resolve(fault);
      }),
    );
  }

  #requestsOf({ proposal, approvals }: Cycle, step: Step): readonly Sent[] {
    const { payloadB3: id, bytes } = proposal;
    if (step === 'propose') return [this.#post('/registry/proposals', bytes)];
    if (step === 'commit') return [this.#post(`/registry/commit/${id}`)];
    return approvals.map((approval) =>
      this.#post(`/registry/approvals/${id}`, canonicalBytes(approval)),
    );
  }

  #post(path: string, body?: Uint8Array): Sent {
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    return { method: 'POST', path, body, headers: { ...this.#headers, ...type } };
  }
}
