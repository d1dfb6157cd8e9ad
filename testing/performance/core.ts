/** The parts of core that every commit or every verifier pays for, each beside the bare thing under it. */
import { createPublicKey, verify } from 'node:crypto';
import { blake3 } from '@noble/hashes/blake3.js';
import { Bench as Timing } from 'tinybench';
import { approvalStatement, isApprovalValid } from '../../src/core/approval.ts';
import { decodeBase64, decodeUtf8 } from '../../src/core/bytes.ts';
import { appendEntry } from '../../src/core/chain.ts';
import { descriptorPath } from '../../src/core/descriptor.ts';
import { decodePayload } from '../../src/core/payload.ts';
import type { Chain } from '../../src/core/rules.ts';
import { verifyBranch } from '../../src/core/set-proof.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import {
  ALICE,
  append,
  appendGenesis,
  approve,
  BOB,
  decode,
  descriptorsMembers,
  put,
} from '../support/core-registry.ts';
import type { Bench } from './bench.ts';
import { smallPairs } from './core-parts.ts';
import type { Sample } from './figure.ts';

export interface Pair {
  readonly name: string;
  readonly run: () => unknown;
  /** What it is held against. */
  readonly bare: { readonly name: string; readonly run: () => unknown };
}

/** Until then what V8 compiles as it runs is compiled. */
const WARMUP_MS = 300;
/** Of each of the two in a round: in turns, and so short that the machine is as fast in the one as in the other. */
const SLICES = 5;
const SLICE_MS = 40;

export async function openCore(): Promise<Bench> {
  const chain = chainOf(10_000);
  const pairs = [...signaturePairs(chain), ...setPairs(chain), ...smallPairs()];
  for (const pair of pairs) await measurePair(pair, WARMUP_MS);
  return {
    pids: [],
    round: async () => {
      const samples: Sample[] = [];
      for (let i = 0; i < SLICES; i++)
        for (const pair of pairs) samples.push(await measurePair(pair, SLICE_MS));
      return samples;
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function measurePair({ name, run, bare }: Pair, timeMs: number): Promise<Sample> {
  // A new one each time: one that has run keeps its first result.
  const timing = new Timing({ time: timeMs, warmupTime: timeMs / 4 });
  timing.add(name, run).add(bare.name, bare.run);
  await timing.run();
  return {
    name,
    kind: 'cpu',
    unit: 'us',
    reference: bare.name,
    ours: typicalUs(timing, name),
    theirs: typicalUs(timing, bare.name),
    isGated: true,
    isConstant: true,
  };
}

function typicalUs(timing: Timing, name: string): number {
  const result = timing.getTask(name)?.result;
  if (result?.state !== 'completed')
    throw new Error(`expected ${name} to run to its end, got ${result?.state}`);
  return result.latency.p50 * 1000;
}

/** A registry with `size` descriptors. */
function chainOf(size: number): Chain {
  const genesis = appendGenesis().chain;
  const changes = Array.from({ length: size }, (_, i) =>
    put(null, `s-${String(i).padStart(6, '0')}`, { port: i }),
  );
  return append(genesis, descriptorsMembers(genesis.registry, changes)).chain;
}

function signaturePairs(chain: Chain): Pair[] {
  const proposal = decode(descriptorsMembers(chain.registry, [put(chain, 'one', { port: 1 })]));
  const approval = approve(ALICE, proposal);
  const { origin, registry } = chain;
  const statement = { origin, registry, payloadB3: proposal.payloadB3 };
  const message = approvalStatement({ ...statement, signedAt: approval.signed_at });
  const signature = decodeBase64(approval.sig) ?? new Uint8Array();
  const verifier = createNativeVerifier();
  const many = Array.from({ length: 200 }, (_, i) =>
    put(chain, `t-${String(i).padStart(3, '0')}`, { text: 'x'.repeat(200), port: i }),
  );
  const { bytes } = decode(descriptorsMembers(chain.registry, many));
  const key = createPublicKey(ALICE.privateKey);
  return [
    {
      name: 'approval.verify',
      run: () => isApprovalValid(verifier, { approval, publicKey: ALICE.public_key, statement }),
      bare: {
        name: 'crypto.verify',
        run: () =>
          new Promise((resolve) =>
            verify(null, message, key, signature, (_, isValid) => resolve(isValid)),
          ),
      },
    },
    {
      name: 'payload.decode, 200 changes',
      run: () => decodePayload(bytes),
      bare: { name: 'JSON.parse of the same bytes', run: () => JSON.parse(decodeUtf8(bytes)) },
    },
  ];
}

function setPairs(chain: Chain): Pair[] {
  const proposal = decode(descriptorsMembers(chain.registry, [put(chain, 'one', { port: 1 })]));
  const approvals = [ALICE, BOB].map((signer) => approve(signer, proposal));
  const committedAt = chain.committedAt;
  const path = descriptorPath({ kind: 'service', id: 's-000077' });
  const branch = chain.set.branch(path);
  const root = chain.set.rootHash;
  const node = new Uint8Array(65);
  const bare = { name: 'blake3 of one inner node', run: () => blake3(node) };
  return [
    {
      name: 'entry.append, 1 change in 10,000 descriptors',
      run: () => appendEntry(chain, { proposal, approvals, committedAt, isCommitted: () => false }),
      bare,
    },
    {
      name: 'set proof verify, 10,000 descriptors',
      run: () => verifyBranch({ root, path }, branch),
      bare,
    },
  ];
}
