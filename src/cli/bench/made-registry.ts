/** A registry made up to be measured: entries of ten changes each, properly approved, under a signed checkpoint. */
import { createHash, sign } from 'node:crypto';
import { encodeBase64, encodeUtf8 } from '../../core/bytes.ts';
import { type Appended, appendEntry } from '../../core/chain.ts';
import { formatHash, type Hash } from '../../core/hash.ts';
import type { EntryBytes } from '../../core/leaf.ts';
import { type Change, compareKeys, type DecodedPayload } from '../../core/payload.ts';
import type { Chain } from '../../core/rules.ts';
import { encodeCheckpoint } from '../../core/tlog/checkpoint.ts';
import { encodeNote } from '../../core/tlog/note.ts';
import type { Verifier } from '../../core/verifier.ts';
import { encodeVerifierKey, parseVerifierKey } from '../../core/vkey.ts';
import { openMissing } from '../../server/snapshot/append-missing.ts';
import { draftDescriptors, draftGenesis } from '../draft.ts';
import { generatePair, type KeyPair } from '../key-file.ts';
import { signApproval } from '../signing.ts';

export interface MadeRegistryOptions {
  /** A file that is not there yet. */
  readonly path: string;
  /** Of the database, about; no less than an empty one has. */
  readonly bytes: number;
  /** Of a descriptor's spec, about. */
  readonly specBytes: number;
  readonly verifier: Verifier;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly signal: AbortSignal;
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

const ORIGIN = 'bench.example/snapshot';
const SIGNERS = ['org:bench#one', 'org:bench#two', 'org:bench#three'];
const THRESHOLD = 2;
const PAGE = 64;
const CHANGES = 10;
/** In the payload, and as a value; and what else an entry has. */
const STORED_TIMES = 2.5;
/** So many ids, some of them changed often and most seldom. */
const IDS = 50_000;
const HOT_IDS = 500;
const LIFETIME_MS = 86_400_000;

/** Ends early, whole, when it is given up. */
export async function makeRegistry({
  path,
  bytes,
  specBytes,
  verifier,
  now,
  signal,
  onProgress,
}: MadeRegistryOptions): Promise<void> {
  const maker = new EntryMaker({ verifier, now, specBytes });
  await using missing = await openMissing(path, verifier);
  await missing.append([await maker.genesis()]);
  for (let done = await missing.bytes(); done < bytes && !signal.aborted; ) {
    const length = Math.min(PAGE, Math.ceil((bytes - done) / (specBytes * CHANGES * STORED_TIMES)));
    const page: EntryBytes[] = [];
    while (page.length < length) page.push(await maker.next());
    await missing.append(page);
    done = await missing.bytes();
    onProgress(Math.min(done, bytes), bytes);
  }
  if (missing.chain !== null) await missing.keepCheckpoint(maker.checkpoint(missing.chain));
}

/** Each of its keys lives as long as it does. */
class EntryMaker {
  readonly #verifier: Verifier;
  readonly #now: () => number;
  readonly #specBytes: number;
  readonly #signers: readonly { readonly signerId: string; readonly key: KeyPair }[];
  readonly #logKey = generatePair('ed25519');
  readonly #values = new Map<string, Hash>();
  #chain: Chain | null = null;
  #made = 0;

  constructor({
    verifier,
    now,
    specBytes,
  }: Pick<MadeRegistryOptions, 'verifier' | 'now' | 'specBytes'>) {
    this.#verifier = verifier;
    this.#now = now;
    this.#specBytes = specBytes;
    this.#signers = SIGNERS.map((signerId) => ({ signerId, key: generatePair('ed25519') }));
  }

  genesis(): Promise<EntryBytes> {
    const { publicKey } = this.#logKey;
    const signers = this.#signers.map(({ signerId, key }) => ({
      signer_id: signerId,
      algo: 'ed25519' as const,
      public_key: encodeBase64(key.publicKey),
    }));
    const governance = {
      version: 1,
      threshold: THRESHOLD,
      signers: signers.sort((a, b) => (a.signer_id < b.signer_id ? -1 : 1)),
      log_keys: [encodeVerifierKey({ name: ORIGIN, publicKey })],
    };
    return this.#entry(
      draftGenesis({ origin: ORIGIN, governance }, this.#envelope),
      SIGNERS.length,
    );
  }

  async next(): Promise<EntryBytes> {
    const registry = this.#chain?.registry ?? NO_HASH;
    const changes = new Map<string, Change>();
    while (changes.size < CHANGES) {
      const change = this.#change();
      changes.set(change.id, change);
    }
    const sorted = [...changes.values()].sort(compareKeys);
    return this.#entry(
      draftDescriptors({ origin: ORIGIN, registry }, sorted, this.#envelope),
      THRESHOLD,
    );
  }

  checkpoint({ tree }: Chain): string {
    const { privateKey, publicKey } = this.#logKey;
    const key = parseVerifierKey(encodeVerifierKey({ name: ORIGIN, publicKey }));
    const text = encodeCheckpoint({ origin: ORIGIN, size: tree.size, root: tree.root });
    const signature = new Uint8Array(sign(null, encodeUtf8(text), privateKey));
    return encodeNote({ text, signatures: [{ name: ORIGIN, keyId: key?.keyId ?? '', signature }] });
  }

  get #envelope() {
    return { now: this.#now(), lifetimeMs: LIFETIME_MS, note: `entry ${this.#made}` };
  }

  /** Every third one is of the few that change often. */
  #change(): Change {
    const made = this.#made++;
    const digest = createHash('sha256').update(String(made)).digest();
    const ids = made % 3 === 0 ? HOT_IDS : IDS;
    const id = `team-${digest.readUInt32BE(0) % 40}/app-${digest.readUInt32BE(4) % ids}`;
    const replaces = this.#values.get(id) ?? null;
    return {
      op: 'put',
      kind: 'service',
      id,
      replaces,
      spec: specOf(made, digest.toString('hex'), this.#specBytes),
    };
  }

  async #entry(proposal: DecodedPayload, approvers: number): Promise<EntryBytes> {
    const approvals = await Promise.all(
      this.#signers
        .slice(0, approvers)
        .map((signer) =>
          signApproval(proposal, { ...signer, now: this.#now(), verifier: this.#verifier }),
        ),
    );
    const { created_at } = proposal.payload;
    const chain = this.#chain;
    const appended: Appended = appendEntry(chain, {
      proposal,
      approvals: approvals.sort((a, b) => (a.signer_id < b.signer_id ? -1 : 1)),
      // A clock may be set back meanwhile.
      committedAt:
        chain !== null && chain.committedAt > created_at ? chain.committedAt : created_at,
      isCommitted: () => false,
    });
    for (const { id, valueHash } of appended.changes)
      if (valueHash !== null) this.#values.set(id, formatHash(valueHash));
    this.#chain = appended.chain;
    return appended.entry;
  }
}

const NO_HASH: Hash = `b3:${'0'.repeat(64)}`;

/** Digests and a few numbers do not compress, names do: like the manifests of deployments. */
function specOf(made: number, hex: string, bytes: number) {
  const containers = Array.from(
    { length: Math.max(1, Math.round(bytes / CONTAINER_BYTES)) },
    (_, i) => ({
      name: `container-${i}`,
      image: `registry.example.com/team/app@sha256:${hexOf(hex, i)}`,
      ports: [{ name: 'http', port: 8_080 + i }],
      resources: { cpu: `${100 * (1 + (made % 8))}m`, memory: `${64 * (1 + ((made + i) % 32))}Mi` },
      env: {
        LOG_LEVEL: 'info',
        REGION: made % 2 === 0 ? 'eu-west-1' : 'us-east-1',
        RELEASE: `${made}`,
      },
    }),
  );
  return { containers, owner: `team-${made % 40}@example.com`, replicas: made % 9 };
}

const CONTAINER_BYTES = 300;

function hexOf(hex: string, index: number): string {
  return index === 0 ? hex : createHash('sha256').update(`${hex}${index}`).digest('hex');
}
