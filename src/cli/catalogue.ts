/** The commands of `quorate` in the order of its help, each with the module that is loaded when it is used. */
import type { Command } from 'commander';
import type { Context } from './context.ts';

/** Adds arguments, options, an action or commands of its own. */
export type Define = (command: Command, context: Context) => void;

export interface CatalogueEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Define>;
  /** Its `--version` means a version of the registry, not that of the program. */
  readonly hasVersion?: true;
}

export const CATALOGUE: readonly CatalogueEntry[] = [
  {
    name: 'serve',
    summary: 'run a registry',
    load: async () => (await import('./commands/serve.ts')).defineServe,
  },
  {
    name: 'config',
    summary: 'check or print the configuration of `serve`',
    load: async () => (await import('./commands/config.ts')).defineConfig,
  },
  {
    name: 'audit',
    summary: 'verify or export the audit log of a server',
    load: async () => (await import('./commands/audit.ts')).defineAudit,
  },
  {
    name: 'operator',
    summary: 'freeze, thaw, reload, copy and compact a running server',
    load: async () => (await import('./commands/operator.ts')).defineOperator,
  },
  {
    name: 'snapshot',
    summary: 'make, list, verify and restore snapshots of a registry',
    load: async () => (await import('./commands/snapshot.ts')).defineSnapshot,
  },
  {
    name: 'keygen',
    summary: 'make a signer key, a log key or a cosigner key',
    load: async () => (await import('./commands/keygen.ts')).defineKeygen,
  },
  {
    name: 'token',
    summary: 'make, narrow, show and revoke access tokens',
    load: async () => (await import('./commands/token.ts')).defineToken,
  },
  {
    name: 'init',
    summary: 'write the genesis of a new registry, and commit it',
    load: async () => (await import('./commands/init.ts')).defineInit,
  },
  {
    name: 'plan',
    summary: 'show what a declared set would change',
    load: async () => (await import('./commands/plan.ts')).definePlan,
  },
  {
    name: 'propose',
    summary: 'propose a declared set or a payload',
    load: async () => (await import('./commands/propose.ts')).definePropose,
  },
  {
    name: 'review',
    summary: 'show a proposal or a payload file for judgement',
    load: async () => (await import('./commands/review.ts')).defineReview,
  },
  {
    name: 'approve',
    summary: 'review and sign a proposal or a payload file',
    load: async () => (await import('./commands/approve.ts')).defineApprove,
  },
  {
    name: 'commit',
    summary: 'commit a proposal that has its quorum',
    load: async () => (await import('./commands/commit.ts')).defineCommit,
  },
  {
    name: 'proposals',
    summary: 'list proposals in flight and recently committed',
    load: async () => (await import('./commands/proposals.ts')).defineProposals,
  },
  {
    name: 'signers',
    summary: 'list the signers, or write a payload that changes them',
    load: async () => (await import('./commands/signers.ts')).defineSigners,
  },
  {
    name: 'supersede',
    summary: 'propose to supersede the head, with a reason',
    load: async () => (await import('./commands/supersede.ts')).defineSupersede,
  },
  {
    name: 'erase',
    summary: 'propose to have the payload of an entry forgotten, with a reason',
    load: async () => (await import('./commands/erase.ts')).defineErase,
  },
  {
    name: 'head',
    summary: 'show the verified head',
    load: async () => (await import('./commands/head.ts')).defineHead,
  },
  {
    name: 'get',
    summary: 'show one verified entry',
    load: async () => (await import('./commands/get.ts')).defineGet,
  },
  {
    name: 'ls',
    summary: 'list the descriptors at the head',
    load: async () => (await import('./commands/ls.ts')).defineLs,
  },
  {
    name: 'cat',
    summary: 'print one descriptor, with a proof if wanted',
    load: async () => (await import('./commands/cat.ts')).defineCat,
  },
  {
    name: 'blob',
    summary: 'keep bytes that descriptors name by hash, and fetch them',
    load: async () => (await import('./commands/blob.ts')).defineBlob,
  },
  {
    name: 'diff',
    summary: 'show the net changes between two versions',
    load: async () => (await import('./commands/diff.ts')).defineDiff,
  },
  {
    name: 'log',
    summary: 'list entries, the newest first',
    load: async () => (await import('./commands/log.ts')).defineLog,
  },
  {
    name: 'history',
    summary: 'list every value one descriptor had',
    load: async () => (await import('./commands/history.ts')).defineHistory,
  },
  {
    name: 'watch',
    summary: 'print each new version as it is committed',
    load: async () => (await import('./commands/watch.ts')).defineWatch,
  },
  {
    name: 'verify',
    summary: 'audit a whole registry, over HTTP or in a database file',
    load: async () => (await import('./commands/verify.ts')).defineVerify,
  },
  {
    name: 'bundle',
    summary: 'write an entry with what proves it, and verify it without a network',
    load: async () => (await import('./commands/bundle.ts')).defineBundle,
    hasVersion: true,
  },
  {
    name: 'proof',
    summary: 'write a c2sp proof of one entry, and verify it without a network',
    load: async () => (await import('./commands/proof.ts')).defineProof,
  },
  {
    name: 'evidence',
    summary: 'check proof that a log signed two histories, without a network',
    load: async () => (await import('./commands/evidence.ts')).defineEvidence,
  },
  {
    name: 'epoch',
    summary: 'go on from a lost or poisoned log under a new origin',
    load: async () => (await import('./commands/epoch.ts')).defineEpoch,
  },
  {
    name: 'witness',
    summary: 'run a witness of logs: this registry and any other',
    load: async () => (await import('./commands/witness.ts')).defineWitness,
  },
  {
    name: 'witness-info',
    summary: 'print what witnesses and readers of this log need to know',
    load: async () => (await import('./commands/witness-info.ts')).defineWitnessInfo,
  },
  {
    name: 'bench',
    summary: 'measure what a running registry can do',
    load: async () => (await import('./commands/bench.ts')).defineBench,
  },
  {
    name: 'completion',
    summary: 'print a completion script for a shell',
    load: async () => (await import('./commands/completion.ts')).defineCompletion,
  },
];
