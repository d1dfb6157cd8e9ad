/**
 * Answers of up to 4 MiB that are made for one reader: one at a time, and after a large one comes whatever else
 * waits. So many that are asked for at once do not stop everybody, nor stand in memory together.
 */
import { Turns } from '../registry/slots.ts';
import type { Answer } from './answer.ts';
import { askerOf, hungUp } from './asker.ts';
import type { HttpDeps } from './deps.ts';
import type { Handler } from './exchange.ts';

/** Made in about a millisecond. */
const LARGE_BYTES = 256 * 1024;

/** All handlers that it is called with share their turns. */
export function oneAtATime(
  deps: Pick<HttpDeps, 'clientAddress' | 'timers'>,
): (handler: Handler) => Handler {
  const turns = new Turns(1);
  return (handler) => (c, corrId) =>
    turns.run(async (hasWaited) => {
      if (hasWaited && askerOf(deps, c).signal?.aborted === true) throw hungUp();
      const answer = await handler(c, corrId);
      if (isLarge(answer)) await new Promise<void>(deps.timers.soon);
      return answer;
    });
}

function isLarge({ body }: Answer): boolean {
  return body instanceof Uint8Array && body.length > LARGE_BYTES;
}
