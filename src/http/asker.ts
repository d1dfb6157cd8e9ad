/** Who asks for a read that may have to wait. */
import type { Context } from 'hono';
import { RegistryError } from '../core/error.ts';
import type { Asker } from '../registry/registry.ts';
import type { HttpDeps } from './deps.ts';

/** Each is found out when it is asked for: most reads wait for nothing. */
export function askerOf({ clientAddress }: Pick<HttpDeps, 'clientAddress'>, c: Context): Asker {
  return {
    get address() {
      return clientAddress(c);
    },
    get signal() {
      return c.req.raw.signal;
    },
  };
}

/** Nobody reads what would be answered: it is not made. */
export function hungUp(): RegistryError {
  return new RegistryError('overloaded', 'expected a reader that waits, got one that hung up', {
    details: { reason: 'hung_up' },
  });
}
