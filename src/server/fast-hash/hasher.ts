/**
 * BLAKE3-256 of input that comes in pieces, for blobs and snapshots. What is short is hashed by `core`,
 * which needs no start; here the pieces go through a WebAssembly kernel, four chunks at a time.
 */
import { CHUNK_BYTES, FLAGS, hashChunk, hashParent } from '../../core/blake3.ts';
import { createBlake3, type Hasher } from '../../core/hash.ts';
import { GROUP_BYTES, GROUP_CHUNKS, type Kernel, sharedKernel } from './kernel.ts';

/** Up to 4 TiB. */
export function createHasher(): Hasher {
  const kernel = sharedKernel();
  return kernel === null ? createBlake3() : new GroupHasher(kernel);
}

class GroupHasher implements Hasher {
  readonly #kernel: Kernel;
  /** What has come of the group that is not whole, or that may be the last. */
  readonly #held = new Uint8Array(GROUP_BYTES);
  #heldBytes = 0;
  /** Chunks in groups that were hashed. */
  #chunks = 0;
  /** Of whole subtrees that wait for what is on their right, the largest first. */
  readonly #waiting: Int32Array[] = [];

  constructor(shared: Kernel) {
    this.#kernel = shared;
  }

  update(bytes: Uint8Array): void {
    let at = 0;
    // The last group is another matter, and which one that is shows only when more comes.
    for (let room = this.#room; bytes.length - at > room; room = GROUP_BYTES) {
      this.#addGroup(bytes.subarray(at, at + room));
      at += room;
    }
    this.#held.set(bytes.subarray(at), this.#heldBytes);
    this.#heldBytes += bytes.length - at;
  }

  digest(): Uint8Array {
    const last = Math.max(0, Math.ceil(this.#heldBytes / CHUNK_BYTES) - 1);
    const waiting = [...this.#waiting];
    this.#kernel.input.set(this.#held);
    for (const [i, value] of this.#kernel.chunks(last, this.#chunks).entries())
      push(waiting, value, this.#chunks + i + 1);
    const rest = this.#held.subarray(last * CHUNK_BYTES, this.#heldBytes);
    const flags = waiting.length === 0 ? FLAGS.root : 0;
    let right = hashChunk(rest, { counter: this.#chunks + last, flags });
    for (let left = waiting.pop(); left !== undefined; left = waiting.pop())
      right = hashParent(left, right, waiting.length === 0 ? FLAGS.root : 0);
    return new Uint8Array(right.buffer);
  }

  get #room(): number {
    return GROUP_BYTES - this.#heldBytes;
  }

  /** `rest`: of the group, after what is held. */
  #addGroup(rest: Uint8Array): void {
    const { input } = this.#kernel;
    input.set(this.#held.subarray(0, this.#heldBytes));
    input.set(rest, this.#heldBytes);
    this.#heldBytes = 0;
    const value = this.#kernel.group(this.#chunks);
    this.#chunks += GROUP_CHUNKS;
    push(this.#waiting, value, this.#chunks / GROUP_CHUNKS);
  }
}

/** `count`: of subtrees as large as this one, with it: as many are whole now as that can be halved. */
function push(waiting: Int32Array[], value: Int32Array, count: number): void {
  let right = value;
  for (let rest = count; rest % 2 === 0; rest /= 2)
    right = hashParent(waiting.pop() as Int32Array, right, 0);
  waiting.push(right);
}
