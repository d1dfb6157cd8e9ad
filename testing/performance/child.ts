/**
 * A server as a child process on the servers' core. It prints its URL, among whatever else, and ends when
 * its standard input does.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CHILD_ENV } from '../support/child.ts';
import { asServer, onAllCores, onlyChild } from './machine.ts';

export interface ChildServer extends AsyncDisposable {
  readonly url: string;
  /** Of the process that does the work. */
  readonly pid: number;
}

export interface NodeChild extends ChildServer {
  /** What it printed before its URL. */
  readonly said: readonly string[];
}

export interface NodeChildOptions {
  readonly nodeFlags?: readonly string[];
  /** Beside those of every child. */
  readonly env?: Readonly<Record<string, string>>;
  /** A program that runs the server as its only child, and its parameters: strace. */
  readonly under?: readonly string[];
  /** Not on the servers' core alone. */
  readonly isOnAllCores?: boolean;
  /** Every line that it prints but its URL, as long as it runs. */
  readonly onSaid?: (line: string) => void;
}

/** `file`: beside this one. */
export async function startChild(
  file: string,
  parameters: readonly string[] = [],
  { nodeFlags = [], env = {}, under = [], isOnAllCores = false, onSaid }: NodeChildOptions = {},
): Promise<NodeChild> {
  const node = [process.execPath, ...nodeFlags, join(import.meta.dirname, file), ...parameters];
  const [command = process.execPath, ...rest] = [...under, ...node];
  const server = (isOnAllCores ? onAllCores : asServer)(command, rest);
  const child = spawn(server.command, server.parameters, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...CHILD_ENV, ...env },
  });
  const exited = once(child, 'exit');
  const said: string[] = [];
  const started = new Promise<string>((resolve) => {
    // Goes on reading after that, so that the child never waits for a reader.
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith('http://')) return resolve(line);
      said.push(line);
      onSaid?.(line);
    });
  });
  const url = await Promise.race([started, exited.then(() => undefined)]);
  const pid = child.pid === undefined || under.length === 0 ? child.pid : onlyChild(child.pid);
  if (url === undefined || pid === undefined)
    throw new Error(`expected ${file} to print its url, got its end`);
  return {
    url,
    pid,
    said,
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
