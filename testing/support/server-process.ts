/** Starts and ends servers that are processes of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Client } from '../../src/client/client.ts';
import { createClient } from '../../src/client/create.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import { CHILD_ENV, programOf } from './child.ts';
import { logKeyFile } from './log-key-file.ts';

const LOG_KEY = logKeyFile();

export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  /** Asks once: what fails is seen at once. */
  readonly client: Client;
  /** How it ended, whoever ended it. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  /** kill -9; answers the signal that ended the process. */
  kill(): Promise<string | null>;
  /** SIGTERM; answers the exit code. */
  stop(): Promise<number | null>;
}

/** `flags` and `env` are of node. */
export async function spawnServer(
  dataDir: string,
  { flags = [], env = {} }: { flags?: readonly string[]; env?: NodeJS.ProcessEnv } = {},
): Promise<ServerProcess> {
  const program = programOf('server-main');
  const child = spawn(process.execPath, [...flags, program, dataDir, LOG_KEY], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...CHILD_ENV, ...env },
  });
  const ended = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
  const url = await firstLine(child);
  const end = (signal: NodeJS.Signals) => {
    child.kill(signal);
    return ended;
  };
  return {
    url,
    pid: child.pid ?? 0,
    client: createClient({ url, verifier: createNativeVerifier(), maxAttempts: 1 }),
    ended,
    kill: async () => (await end('SIGKILL')).signal,
    stop: async () => (await end('SIGTERM')).code,
  };
}

async function firstLine(child: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of child.stdout ?? []) {
    text += chunk;
    const end = text.indexOf('\n');
    if (end >= 0) return text.slice(0, end);
  }
  throw new Error(`expected the server's url, got its end after ${JSON.stringify(text)}`);
}
