/**
 * A real registry behind its real HTTP app, reached through a `fetch` without sockets that a test can
 * make lie: every lie starts from what the honest server would have said.
 */
import type { Client, ClientOptions } from '../../src/client/client.ts';
import type { Clock } from '../../src/client/clock.ts';
import { createClient } from '../../src/client/create.ts';
import { memoryTrust } from '../../src/client/memory-trust.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import { DrivenClock } from './client-clock.ts';
import { openTestApp, type TestApp } from './http-app.ts';
import { put, type TestRegistryOptions } from './registry.ts';

export const URL_BASE = 'http://registry.test:7070';

export type Fetch = typeof globalThis.fetch;

/** `path` includes the query; `honest` asks the real server. */
export type Lie = (
  path: string,
  honest: (path?: string) => Promise<Response>,
  request: Request,
) => Response | Promise<Response>;

export interface Stage extends TestApp {
  readonly fetch: Fetch;
  /** `GET /registry/head`, ... in the order they came. */
  readonly requests: string[];
  /** Every answer is the honest one again. */
  lie(lie: Lie | undefined): void;
  /** Commits `count` entries, each a new descriptor. */
  grow(count: number): Promise<void>;
}

export async function openStage(options: TestRegistryOptions = {}): Promise<Stage> {
  const app = await openTestApp({ registry: options });
  const requests: string[] = [];
  let current: Lie | undefined;
  let grown = 0;
  const fetch: Fetch = async (input, init) => {
    const request = new Request(input, init);
    request.signal.throwIfAborted();
    const path = request.url.slice(URL_BASE.length);
    requests.push(`${request.method} ${path}`);
    const honest = async (other?: string): Promise<Response> =>
      app.app.fetch(other === undefined ? request : new Request(`${URL_BASE}${other}`));
    return current === undefined ? honest() : current(path, honest, request);
  };
  return {
    ...app,
    fetch,
    requests,
    lie: (lie) => {
      current = lie;
    },
    grow: async (count) => {
      for (let i = 0; i < count; i++) await app.change(put(`grown-${grown++}`, { n: i }));
    },
  };
}

export interface TestClient {
  readonly client: Client;
  readonly clock: DrivenClock;
  /** The saved text, once there is any. */
  readonly saved: () => Promise<string | undefined>;
  readonly saves: () => number;
}

/** A client of the stage with the native verifier, pinned unless `registryHash` is taken away. */
export function openClient(
  stage: Pick<Stage, 'fetch'> & Partial<Pick<Stage, 'registryHash'>>,
  options: Partial<ClientOptions> = {},
): TestClient {
  const clock = new DrivenClock();
  const trust = options.trust ?? memoryTrust();
  let saves = 0;
  const counted = {
    load: () => trust.load(),
    save: async (text: string) => {
      await trust.save(text);
      saves++;
    },
  };
  const client = createClient(
    {
      url: URL_BASE,
      ...(stage.registryHash === undefined ? {} : { registry: stage.registryHash }),
      verifier: createNativeVerifier(),
      fetch: stage.fetch,
      maxAttempts: 1,
      ...options,
      trust: counted,
    },
    clock satisfies Clock,
  );
  return { client, clock, saved: () => trust.load(), saves: () => saves };
}

/** What a rejected promise is rejected with. */
export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return undefined;
}
