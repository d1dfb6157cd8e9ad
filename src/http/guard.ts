/**
 * Who may send a request at all. A write brings an access token, or, where no token key is configured,
 * comes from this machine; then anything that could make the world look like this machine is refused:
 * proxies, and pages in a local browser.
 */
import type { Context } from 'hono';
import { RegistryError } from '../core/error.ts';
import type { Answer } from './answer.ts';
import type { Authority, Operation, Principal } from './authority.ts';
import type { Consume, HttpDeps } from './deps.ts';
import type { Handler } from './exchange.ts';
import type { Inflight } from './inflight.ts';
import { WriteAttempt } from './write-attempt.ts';

export function guardRead(
  { clientAddress, consumeRead }: Pick<HttpDeps, 'clientAddress' | 'consumeRead'>,
  inflight: Inflight,
  handler: Handler,
): Handler {
  return async (c, corrId) => {
    if (consumeRead !== undefined) assertAllowance(consumeRead, clientAddress(c));
    // A long poll waits more than it works; streams and long polls have a cap of their own.
    if (c.req.query('wait') !== undefined) return handler(c, corrId);
    return inflight.run('read', () => handler(c, corrId));
  };
}

/** `attempt`: to be told what the write is about as soon as that is known. */
export type WriteHandler = (c: Context, attempt: WriteAttempt) => Answer | Promise<Answer>;

type WriteDeps = Pick<
  HttpDeps,
  | 'isWriteAllowed'
  | 'clientAddress'
  | 'consumeWrite'
  | 'consumeToken'
  | 'authority'
  | 'audit'
  | 'metrics'
>;

/** Accepted or refused, the write is in the audit log before it is answered. */
export function guardWrite(
  deps: WriteDeps,
  { operation, inflight }: { readonly operation: Operation; readonly inflight: Inflight },
  handler: WriteHandler,
): Handler {
  return async (c, corrId) => {
    const attempt = new WriteAttempt({ operation, corrId, client: deps.clientAddress(c) });
    try {
      const answer = await inflight.run('write', async () => {
        await admit(deps, c, attempt);
        return handler(c, attempt);
      });
      await deps.audit?.record(attempt.event());
      return answer;
    } catch (error) {
      await deps.audit?.record(attempt.event({ error }));
      throw error;
    }
  };
}

/** A token is checked after the limit of its address: that costs milliseconds. */
async function admit(deps: WriteDeps, c: Context, attempt: WriteAttempt): Promise<void> {
  const authority = deps.authority?.();
  if (authority === undefined) assertLocal(deps, c);
  if (deps.consumeWrite !== undefined) assertAllowance(deps.consumeWrite, deps.clientAddress(c));
  if (authority === undefined) return;
  const principal = await authenticate(authority, c).catch((error: unknown) => {
    deps.metrics.tokenChecked('refused');
    throw error;
  });
  deps.metrics.tokenChecked('accepted');
  attempt.broughtBy(principal);
  if (deps.consumeToken !== undefined) assertAllowance(deps.consumeToken, principal.id);
}

async function authenticate(authority: Authority, c: Context): Promise<Principal> {
  const header = c.req.header('Authorization');
  const [, token] = /^Bearer +([A-Za-z0-9_=-]+) *$/i.exec(header ?? '') ?? [];
  if (token === undefined)
    throw new RegistryError(
      'unauthenticated',
      `expected Authorization: Bearer and a token, got ${header === undefined ? 'no such header' : 'another form'}`,
    );
  return authority.authenticate(token);
}

function assertLocal({ isWriteAllowed }: WriteDeps, c: Context): void {
  if (!isWriteAllowed(c))
    throw forbidden('expected a write from this machine, got one from elsewhere');
  assertDirect(c);
  assertNoForeignPage(c);
}

function assertAllowance(consume: Consume, caller: string): void {
  const { ok, retryAfterSeconds } = consume(caller);
  if (ok) return;
  throw new RegistryError(
    'rate_limited',
    `expected fewer requests from ${caller}, got one too many: retry after ${retryAfterSeconds} s`,
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
    `${message}: without a token key, write routes are open to this machine only`,
  );
}
