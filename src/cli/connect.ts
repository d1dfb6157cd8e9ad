/** A verifying client for the registry that the user named, with its trusted state on disk. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client, ClientOptions } from '../client/client.ts';
import { decodeEvidence } from '../core/tlog/evidence.ts';
import { readSignedCheckpoint } from '../core/tlog/note-signatures.ts';
import { createNativeVerifier } from '../server/native-verifier.ts';
import { createNoteVerifier } from '../server/note-verifier.ts';
import type { Context } from './context.ts';
import { readInput } from './files.ts';
import type { Globals } from './globals.ts';
import { sayRetry } from './say-retry.ts';
import { givenToken } from './token-input.ts';
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
  { io, globals, say }: Pick<Connecting, 'io' | 'globals' | 'say'>,
  options: Partial<ClientOptions>,
): Promise<Client> {
  const token = bearerOf({ io, globals, say });
  const create = io.connect ?? (await import('../client/create.ts')).createClient;
  return create({
    url: globals.url,
    verifier: createNativeVerifier(),
    noteVerifier: createNoteVerifier(),
    now: io.now,
    acceptPruned: globals.isPrunedAccepted,
    onRetry: sayRetry({ globals, say }),
    onFork: async (evidence) => {
      const path = await keepEvidence(globals.stateDir, evidence, io.now());
      await say(`quorate: the log signed two histories; the evidence is kept in ${path}`);
    },
    ...(await demands(io, globals)),
    ...(globals.registry !== undefined && { registry: globals.registry }),
    ...(token !== undefined && { token }),
    ...options,
  });
}

/** The token that writes bring, read and remarked upon when the first of them does. */
export function bearerOf({
  io,
  globals,
  say,
}: Pick<Connecting, 'io' | 'globals' | 'say'>): (() => Promise<string>) | undefined {
  const read = givenToken({ io, globals, say });
  if (read === undefined) return undefined;
  const readFirst = async () => {
    if (isReadOnTheWay(globals.url))
      await say(`warning: the token goes to ${globals.url} without encryption`);
    return read();
  };
  let token: Promise<string> | undefined;
  return () => {
    token ??= readFirst();
    return token;
  };
}

/** Of what the user sends there. */
function isReadOnTheWay(url: string): boolean {
  const { protocol, hostname } = URL.parse(url) ?? {};
  return protocol === 'http:' && !/^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname ?? '');
}

/** What the user demands of witnesses. */
async function demands(
  io: Connecting['io'],
  { witnessPolicy, maxStaleMs }: Globals,
): Promise<Pick<ClientOptions, 'policy' | 'maxStaleMs'>> {
  return {
    ...(witnessPolicy !== undefined && { policy: await readInput(io, witnessPolicy) }),
    ...(maxStaleMs !== undefined && { maxStaleMs }),
  };
}

/** Never written over: a second fork is another file. Answers the path. */
export async function keepEvidence(
  stateDir: string,
  evidence: string,
  now: number,
): Promise<string> {
  const { older, newer } = decodeEvidence(evidence);
  const sizes = [older, newer].map((note) => readSignedCheckpoint(note).size);
  const time = new Date(now).toISOString().replace(/[-:]/g, '');
  const directory = join(stateDir, 'evidence');
  const path = join(directory, `${time}-${sizes.join('-')}.json`);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeFile(path, `${evidence}\n`, { mode: 0o600, flag: 'wx', flush: true });
  return path;
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
