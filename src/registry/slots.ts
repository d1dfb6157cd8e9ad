/** Caps on what is held at once, in all and for each client address. */

export interface SlotLimits {
  readonly inAll: number;
  readonly perAddress: number;
}

export class Slots {
  readonly #limits: () => SlotLimits;
  readonly #refusal: (limit: number, scope: string) => Error;
  readonly #byAddress = new Map<string, number>();
  #taken = 0;

  /** `limits`: asked every time. */
  constructor(limits: () => SlotLimits, refusal: (limit: number, scope: string) => Error) {
    this.#limits = limits;
    this.#refusal = refusal;
  }

  get taken(): number {
    return this.#taken;
  }

  /** The release may be called more than once. Throws the refusal, at once. `address`: empty of who has none. */
  take(address: string): () => void {
    const { inAll, perAddress } = this.#limits();
    const ofAddress = this.#byAddress.get(address) ?? 0;
    if (this.#taken >= inAll) throw this.#refusal(inAll, 'in all');
    if (address !== '' && ofAddress >= perAddress)
      throw this.#refusal(perAddress, 'for one address');
    this.#taken++;
    this.#byAddress.set(address, ofAddress + 1);
    let isHeld = true;
    return () => {
      if (isHeld) this.#release(address);
      isHeld = false;
    };
  }

  #release(address: string): void {
    this.#taken--;
    const left = (this.#byAddress.get(address) ?? 1) - 1;
    if (left === 0) this.#byAddress.delete(address);
    else this.#byAddress.set(address, left);
  }
}

/** So many at once; the others wait, in the order in which they came. */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(count: number) {
    this.#free = count;
  }

  /** Runs it in its turn: at once where one is free. Throws what it throws. */
  async run<T>(work: (hasWaited: boolean) => Promise<T>): Promise<T> {
    const hasWaited = this.#free === 0;
    if (hasWaited) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free--;
    try {
      return await work(hasWaited);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
