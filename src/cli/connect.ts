/** A verifying client for the registry that the user named, with its trusted state on disk. */
import { join } from 'node:path';
import type { Client, ClientOptions } from '../client/client.ts';
import { createNativeVerifier } from '../server/native-verifier.ts';
import type { Context } from './context.ts';
import type { Globals } from './globals.ts';
import { createFileTrust } from './trust-file.ts';

type Connecting = Pick<Context, 'io' | 'globals' | 'say' | 'progress'>;

export async function connect(context: Connecting): Promise<Client> {
  const { globals, say } = context;
  return connectWith(context, {
    trust: createFileTrust(trustPath(globals)),
    onProgress: showCatchUp(context),
    onFirstUse: ({ origin, registry }) => {
      // A remark: nothing waits for it, and the stream keeps the order.
      void say(
        `quorate: trusting ${origin} at ${globals.url} on first use; to pin it:\n  --registry ${registry}`,
      );
    },
  });
}

/** As `connect`, with other parts: an audit keeps no trust and shows its own progress. */
export async function connectWith(
  { io, globals }: Pick<Connecting, 'io' | 'globals'>,
  options: Partial<ClientOptions>,
): Promise<Client> {
  const create = io.connect ?? (await import('../client/create.ts')).createClient;
  return create({
    url: globals.url,
    verifier: createNativeVerifier(),
    now: io.now,
    ...(globals.registry !== undefined && { registry: globals.registry }),
    ...options,
  });
}

/** One file for each registry that was pinned, else one for each URL that was believed. */
export function trustPath({
  stateDir,
  registry,
  url,
}: Pick<Globals, 'stateDir' | 'registry' | 'url'>): string {
  const name = registry?.replace(':', '-') ?? encodeURIComponent(url.replace(/\/+$/, ''));
  return join(stateDir, `${name}.json`);
}

/** Told page by page: what fits in one is over before a bar would be seen. */
function showCatchUp({ progress }: Connecting): NonNullable<ClientOptions['onProgress']> {
  const bar = progress('versions verified');
  return ({ version, head }) => {
    if (version < head) bar.show(version, head);
    else void bar.end();
  };
}
