/** What fits into so many bytes; what was used longest ago is forgotten first. */

/** What a value costs beside its own bytes, so that empty ones are bounded too. */
const OVERHEAD_BYTES = 256;

export class LeastRecent<T> {
  readonly #maxBytes: number;
  /** In order of use, the least recent first. */
  readonly #kept = new Map<string, { readonly value: T; readonly bytes: number }>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): T | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    return kept.value;
  }

  /** `length`: bytes of the value. What would not fit alone is not kept. */
  keep(key: string, value: T, length: number): void {
    const bytes = length + OVERHEAD_BYTES;
    this.#forget(key);
    if (bytes > this.#maxBytes) return;
    this.#kept.set(key, { value, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#forget(oldest);
    }
  }

  #forget(key: string): void {
    this.#bytes -= this.#kept.get(key)?.bytes ?? 0;
    this.#kept.delete(key);
  }
}
