/** Keeps a label's values a closed set, so that no client can grow the number of time series. */

/** What every value outside the set is counted as. */
export const OTHER = 'other';

/** `known` values pass, and up to `room` further ones in the order they first came; the rest is `other`. */
export class ClosedLabel {
  readonly #values: Set<string>;
  #room: number;

  constructor(known: readonly string[], room = 0) {
    this.#values = new Set(known);
    this.#room = room;
  }

  of(value: string): string {
    if (this.#values.has(value)) return value;
    if (this.#room === 0) return OTHER;
    this.#room--;
    this.#values.add(value);
    return value;
  }
}
