/** Proposals with a span around each write. Without a tracer there is nothing to wrap. */
import { NO_TRACER, type Tracer } from '../telemetry/tracer.ts';
import type { Proposals } from './registry.ts';

export function tracedProposals(proposals: Proposals, tracer: Tracer = NO_TRACER): Proposals {
  if (tracer === NO_TRACER) return proposals;
  return {
    propose: (bytes, options) =>
      tracer.span('propose', () => proposals.propose(bytes, options), {
        attributes: { 'quorate.payload_bytes': bytes.length },
      }),
    approve: (id, approval) =>
      tracer.span('approve', () => proposals.approve(id, approval), {
        attributes: { 'quorate.proposal': id },
      }),
    commit: (id, options) =>
      tracer.span('commit', () => proposals.commit(id, options), {
        attributes: { 'quorate.proposal': id },
      }),
    get: (id) => proposals.get(id),
    list: () => proposals.list(),
    payload: (id) => proposals.payload(id),
  };
}
