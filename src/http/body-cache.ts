/** Bodies that never change, made once however many ask at once, and forgotten by least recent use. */
import { LeastRecent } from './least-recent.ts';

export class BodyCache {
  readonly #bodies: LeastRecent<Uint8Array>;
  readonly #making = new Map<string, Promise<Uint8Array>>();

  constructor(maxBytes: number) {
    this.#bodies = new LeastRecent(maxBytes);
  }

  get bytes(): number {
    return this.#bodies.bytes;
  }

  /** `key` names the bytes for ever. A failure is everyone's who waits, and is not kept. */
  get(key: string, make: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const body = this.#bodies.get(key);
    if (body !== undefined) return Promise.resolve(body);
    const making = this.#making.get(key) ?? this.#make(key, make);
    this.#making.set(key, making);
    return making;
  }

  async #make(key: string, make: () => Promise<Uint8Array>): Promise<Uint8Array> {
    try {
      const body = await make();
      this.#bodies.keep(key, body, body.length);
      return body;
    } finally {
      this.#making.delete(key);
    }
  }
}
