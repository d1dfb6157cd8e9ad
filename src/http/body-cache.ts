/** Bodies that never change, made once however many ask at once, and forgotten by least recent use. */

/** What an entry costs beside its body, so that empty ones are bounded too. */
const ENTRY_BYTES = 256;

export class BodyCache {
  readonly #maxBytes: number;
  /** In order of use, the least recent first. */
  readonly #bodies = new Map<string, Uint8Array>();
  readonly #making = new Map<string, Promise<Uint8Array>>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** `key` names the bytes for ever. A failure is everyone's who waits, and is not kept. */
  get(key: string, make: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const body = this.#bodies.get(key);
    if (body !== undefined) return Promise.resolve(this.#use(key, body));
    const making = this.#making.get(key) ?? this.#make(key, make);
    this.#making.set(key, making);
    return making;
  }

  async #make(key: string, make: () => Promise<Uint8Array>): Promise<Uint8Array> {
    try {
      const body = await make();
      this.#keep(key, body);
      return body;
    } finally {
      this.#making.delete(key);
    }
  }

  #use(key: string, body: Uint8Array): Uint8Array {
    this.#bodies.delete(key);
    this.#bodies.set(key, body);
    return body;
  }

  #keep(key: string, body: Uint8Array): void {
    if (body.length + ENTRY_BYTES > this.#maxBytes) return;
    this.#bodies.set(key, body);
    this.#bytes += body.length + ENTRY_BYTES;
    for (const [oldest, { length }] of this.#bodies) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#bodies.delete(oldest);
      this.#bytes -= length + ENTRY_BYTES;
    }
  }
}
