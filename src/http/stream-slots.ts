/** Caps on what holds a connection open, in all and for each client address. */
import { RegistryError } from '../core/error.ts';
import type { HttpLimits } from './deps.ts';

type StreamLimits = Pick<HttpLimits, 'maxStreams' | 'maxStreamsPerAddress'>;

export class StreamSlots {
  readonly #limits: () => StreamLimits;
  readonly #what: string;
  readonly #byAddress = new Map<string, number>();
  #taken = 0;

  /** `limits`: asked for every stream. */
  constructor(limits: () => StreamLimits, what = 'streams and long polls') {
    this.#limits = limits;
    this.#what = what;
  }

  get taken(): number {
    return this.#taken;
  }

  /** The release may be called more than once. Throws `too_many_streams`. */
  take(address: string): () => void {
    const { maxStreams, maxStreamsPerAddress } = this.#limits();
    const ofAddress = this.#byAddress.get(address) ?? 0;
    if (this.#taken >= maxStreams) throw this.#tooMany(maxStreams, 'in all');
    if (ofAddress >= maxStreamsPerAddress)
      throw this.#tooMany(maxStreamsPerAddress, 'for one address');
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

  #tooMany(limit: number, scope: string): RegistryError {
    return new RegistryError(
      'too_many_streams',
      `expected at most ${limit} ${this.#what} ${scope}, got one more`,
      { details: { limit } },
    );
  }
}
