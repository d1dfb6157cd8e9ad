/** Logs and witnesses for tests: a log small enough to be forked at will, and a witness over a real store. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeUtf8 } from '../../src/core/bytes.ts';
import { encodeAddCheckpoint } from '../../src/core/tlog/add-checkpoint.ts';
import { type Checkpoint, encodeCheckpoint } from '../../src/core/tlog/checkpoint.ts';
import { LogTree } from '../../src/core/tlog/log-tree.ts';
import { type NodePlace, proveConsistency, rootAt } from '../../src/core/tlog/merkle.ts';
import { encodeNote, type NoteSignature } from '../../src/core/tlog/note.ts';
import { encodeVerifierKey, parseVerifierKey, type VerifierKey } from '../../src/core/vkey.ts';
import type { CheckpointSigner } from '../../src/registry/options.ts';
import type { PublishedCheckpoint } from '../../src/registry/registry.ts';
import { type CosignerKey, createCosignerKey } from '../../src/registry/witness-cosign.ts';
import { makeLogSigner, ORIGIN } from './signers.ts';

const root = mkdtempSync(join(tmpdir(), 'quorate-witness-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));

/** A path in a directory of its own. */
export function witnessFile(name: string): string {
  return join(mkdtempSync(join(root, 'test-')), name);
}

export function keyOf(vkey: string): VerifierKey {
  const key = parseVerifierKey(vkey);
  if (key === undefined) throw new Error(`no vkey: ${vkey}`);
  return key;
}

/** The same name gives the same key. */
export function makeCosigner(name: string): CosignerKey {
  return createCosignerKey(name, makeLogSigner(name));
}

/** Leaves are texts; two logs with other `branch`es are forks of each other from the first leaf that differs. */
export class TestLog {
  readonly origin: string;
  readonly signer: CheckpointSigner;
  readonly vkey: string;
  readonly #nodes = new Map<string, Uint8Array>();
  #tree = LogTree.EMPTY;

  constructor({ origin = ORIGIN, key = 'log' }: { origin?: string; key?: string } = {}) {
    this.origin = origin;
    this.signer = makeLogSigner(key);
    this.vkey = encodeVerifierKey({ name: origin, publicKey: this.signer.publicKey });
  }

  get size(): number {
    return this.#tree.size;
  }

  grow(count: number, branch = ''): this {
    for (let i = 0; i < count; i++) {
      const { tree, nodes } = this.#tree.with(encodeUtf8(`${branch}${this.#tree.size}`));
      for (const { level, index, hash } of nodes) this.#nodes.set(`${level}/${index}`, hash);
      this.#tree = tree;
    }
    return this;
  }

  async checkpoint(size = this.size): Promise<Checkpoint & { readonly text: string }> {
    const checkpoint = {
      origin: this.origin,
      size,
      root: await rootAt(size, (places) => this.#read(places)),
    };
    return { ...checkpoint, text: encodeCheckpoint(checkpoint) };
  }

  async sign(text: string): Promise<NoteSignature> {
    const { name, keyId } = keyOf(this.vkey);
    return { name, keyId, signature: await this.signer.sign(encodeUtf8(text)) };
  }

  async note(size = this.size): Promise<string> {
    const { text } = await this.checkpoint(size);
    return encodeNote({ text, signatures: [await this.sign(text)] });
  }

  async published(size = this.size): Promise<PublishedCheckpoint> {
    const { text: _, ...checkpoint } = await this.checkpoint(size);
    const note = await this.note(size);
    return { ...checkpoint, note, bytes: encodeUtf8(note), etag: `"${size}"` };
  }

  prove(sizes: { readonly from: number; readonly size: number }): Promise<readonly Uint8Array[]> {
    return proveConsistency(sizes, (places) => this.#read(places));
  }

  /** The body of a request that is right for a witness that saw `old` last. */
  async request(old: number, size = this.size): Promise<string> {
    const proof = await this.prove({ from: old, size });
    return encodeAddCheckpoint({ old, proof, note: await this.note(size) });
  }

  async #read(places: readonly NodePlace[]): Promise<readonly Uint8Array[]> {
    return places.map(({ level, index }) => {
      const hash = this.#nodes.get(`${level}/${index}`);
      if (hash === undefined) throw new Error(`no node ${level}/${index}`);
      return hash;
    });
  }
}
