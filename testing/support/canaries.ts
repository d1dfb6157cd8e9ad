/** Texts that are nowhere else, one for each place they are put, and the search for them in what was written. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

/** Every text that is made begins so; it is what is looked for first, because there are thousands of them. */
const MARK = 'quoratecanary';

export class Canaries {
  readonly #made = new Map<string, string>();
  readonly #secrets = new Map<string, string>();

  make(place: string): string {
    const text = `${MARK}${randomBytes(12).toString('hex')}`;
    this.#made.set(text, place);
    return text;
  }

  /** A secret that has a form of its own; its middle is looked for, because ends are shared. */
  add(place: string, secret: string): string {
    assert.ok(secret.length >= 40, place);
    const from = Math.floor(secret.length / 2) - 12;
    this.#secrets.set(secret.slice(from, from + 24), place);
    return secret;
  }

  /** `place of the canary in where it was found`, as itself or in another form. */
  foundIn(written: ReadonlyMap<string, string>): string[] {
    return [...written].flatMap(([where, text]) =>
      this.#placesIn(text).map((place) => `${place} in ${where}`),
    );
  }

  #placesIn(text: string): string[] {
    const secrets = [...this.#secrets].filter(([secret]) => holds(text, secret));
    const isMarked = holds(text, MARK);
    const plain = isMarked ? [...this.#made].filter(([one]) => text.includes(one)) : [];
    // Forms are many: they are asked for only where there is a canary and none stands as it is.
    const isHidden = isMarked && plain.length === 0;
    const made = isHidden ? [...this.#made].filter(([one]) => holds(text, one)) : plain;
    const places = [...secrets, ...made].map(([, place]) => place);
    return isMarked && made.length === 0 ? [...places, 'a piece of some canary'] : places;
  }

  /** Some, of both kinds, with their places. */
  samples(): (readonly [canary: string, place: string])[] {
    return [...this.#secrets, ...[...this.#made].slice(0, 3)];
  }

  get count(): number {
    return this.#made.size + this.#secrets.size;
  }
}

/** As it is, in hex, or in base64 inside of something longer: without what the neighbours change. */
function holds(text: string, canary: string): boolean {
  const bytes = Buffer.from(canary);
  const base64 = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .slice(4, -4),
  );
  return [canary, bytes.toString('hex'), ...base64].some((form) => text.includes(form));
}
