/**
 * Who may send a request at all. Writes are open only on loopback until there are tokens, so anything
 * that could make the world look like loopback is refused: proxies, and pages in a local browser.
 */
import type { Context } from 'hono';
import { RegistryError } from '../core/error.ts';
import type { Consume, HttpDeps } from './deps.ts';
import type { Handler } from './exchange.ts';

export function guardRead(
  { clientAddress, consumeRead }: Pick<HttpDeps, 'clientAddress' | 'consumeRead'>,
  handler: Handler,
): Handler {
  if (consumeRead === undefined) return handler;
  return async (c, corrId) => {
    await assertAllowance(consumeRead, clientAddress(c));
    return handler(c, corrId);
  };
}

export function guardWrite(
  deps: Pick<HttpDeps, 'isWriteAllowed' | 'clientAddress' | 'consumeWrite'>,
  handler: Handler,
): Handler {
  return async (c, corrId) => {
    if (!deps.isWriteAllowed(c))
      throw forbidden('expected a write over loopback, got one from elsewhere');
    assertDirect(c);
    assertNoForeignPage(c);
    if (deps.consumeWrite !== undefined)
      await assertAllowance(deps.consumeWrite, deps.clientAddress(c));
    return handler(c, corrId);
  };
}

async function assertAllowance(consume: Consume, address: string): Promise<void> {
  const { ok, retryAfterSeconds } = await consume(address);
  if (ok) return;
  throw new RegistryError(
    'rate_limited',
    `expected fewer requests from ${address}, got one too many: retry after ${retryAfterSeconds} s`,
    { details: { retry_after_seconds: retryAfterSeconds } },
  );
}

const PROXY_HEADERS = [
  'Forwarded',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X-Forwarded-Proto',
  'X-Real-IP',
  'Via',
];

function assertDirect(c: Context): void {
  const found = PROXY_HEADERS.find((name) => c.req.header(name) !== undefined);
  if (found !== undefined)
    throw forbidden(`expected a write straight from this machine, got one with ${found}`);
}

/**
 * A browser says where a write comes from. Beside the same origin, the host must be a loopback name:
 * a page whose own name was made to resolve to 127.0.0.1 is its own origin too.
 */
function assertNoForeignPage(c: Context): void {
  const site = c.req.header('Sec-Fetch-Site');
  if (site !== undefined && site !== 'same-origin' && site !== 'none')
    throw forbidden('expected a write by no page of another site, got one');
  const origin = c.req.header('Origin');
  if (origin === undefined) return;
  const host = c.req.header('Host') ?? new URL(c.req.url).host;
  if (origin !== `http://${host}` || !isLoopbackName(host))
    throw forbidden('expected a write by no page of another origin, got one');
}

function isLoopbackName(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/.test(host);
}

function forbidden(message: string): RegistryError {
  return new RegistryError(
    'forbidden',
    `${message}: write routes are open only on loopback until there are tokens`,
  );
}
