/** Caps on what holds a connection open, in all and for each client address. */
import { RegistryError } from '../core/error.ts';
import { Slots } from '../registry/slots.ts';
import type { HttpLimits } from './deps.ts';

type StreamLimits = Pick<HttpLimits, 'maxStreams' | 'maxStreamsPerAddress'>;

/** Refuses with `too_many_streams`. */
export class StreamSlots extends Slots {
  /** `limits`: asked for every stream. */
  constructor(limits: () => StreamLimits, what = 'streams and long polls') {
    super(
      () => {
        const { maxStreams, maxStreamsPerAddress } = limits();
        return { inAll: maxStreams, perAddress: maxStreamsPerAddress };
      },
      (limit, scope) =>
        new RegistryError(
          'too_many_streams',
          `expected at most ${limit} ${what} ${scope}, got one more`,
          { details: { limit } },
        ),
    );
  }
}
