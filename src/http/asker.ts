/** Who asks for a read that may have to wait. */
import type { Context } from 'hono';
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
