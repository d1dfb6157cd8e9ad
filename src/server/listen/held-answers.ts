/**
 * Whole answers on their way. Each stays in memory until its reader has taken the last of it, and a reader may
 * take a little every two minutes for hours: so all of them together are bounded. For one too many, the
 * address that holds most makes room: its oldest answer is broken off.
 */

/** The kernel takes so much at once. */
const SMALL_BYTES = 16 * 1024;
const MAX_BYTES = 64 * 1024 * 1024;

export interface HeldAnswer {
  /** The same object for the same bytes: a cached body counts once, however many read it. */
  readonly body: Uint8Array;
  /** Of its reader. */
  readonly address: string;
  /** Destroys the connection. */
  readonly breakOff: () => void;
}

export interface HeldAnswersOptions {
  readonly onBrokenOff: (answer: HeldAnswer) => void;
  /** Default: 64 MiB. */
  readonly maxBytes?: number;
}

export class HeldAnswers {
  readonly #all = new Held();
  readonly #byAddress = new Map<string, Held>();
  readonly #options: HeldAnswersOptions;

  constructor(options: HeldAnswersOptions) {
    this.#options = options;
  }

  get bytes(): number {
    return this.#all.bytes;
  }

  /** Answers what is to be called once its reader has taken the answer or has gone; it may be called again. */
  hold(answer: HeldAnswer): () => void {
    const { body, address } = answer;
    if (body.length <= SMALL_BYTES) return () => undefined;
    const ofAddress = this.#byAddress.get(address) ?? new Held();
    this.#byAddress.set(address, ofAddress);
    this.#all.add(answer);
    ofAddress.add(answer);
    const { maxBytes = MAX_BYTES } = this.#options;
    while (this.#all.bytes > maxBytes) this.#breakOff();
    return () => this.#release(answer);
  }

  #breakOff(): void {
    const most = [...this.#byAddress.values()].reduce((a, b) => (b.bytes > a.bytes ? b : a));
    const [oldest] = most.answers;
    if (oldest === undefined) throw new Error('expected an answer of who holds most, got none');
    this.#release(oldest);
    oldest.breakOff();
    this.#options.onBrokenOff(oldest);
  }

  #release(answer: HeldAnswer): void {
    const ofAddress = this.#byAddress.get(answer.address);
    if (ofAddress === undefined || !ofAddress.delete(answer)) return;
    this.#all.delete(answer);
    if (ofAddress.bytes === 0) this.#byAddress.delete(answer.address);
  }
}

class Held {
  /** In the order in which they came. */
  readonly answers = new Set<HeldAnswer>();
  readonly #readers = new Map<Uint8Array, number>();
  bytes = 0;

  add(answer: HeldAnswer): void {
    const { body } = answer;
    const readers = this.#readers.get(body) ?? 0;
    if (readers === 0) this.bytes += body.length;
    this.#readers.set(body, readers + 1);
    this.answers.add(answer);
  }

  delete(answer: HeldAnswer): boolean {
    if (!this.answers.delete(answer)) return false;
    const { body } = answer;
    const left = (this.#readers.get(body) ?? 1) - 1;
    if (left > 0) this.#readers.set(body, left);
    else {
      this.#readers.delete(body);
      this.bytes -= body.length;
    }
    return true;
  }
}
