/**
 * A server as a child process on the servers' core. It prints its URL, among whatever else, and ends when
 * its standard input does.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CHILD_ENV } from '../support/child.ts';
import { asServer } from './machine.ts';

export interface ChildServer extends AsyncDisposable {
  readonly url: string;
  /** Of the process that does the work. */
  readonly pid: number;
}

export interface NodeChild extends ChildServer {
  /** What it printed before its URL. */
  readonly said: readonly string[];
}

/** `file`: beside this one. */
export async function startChild(
  file: string,
  parameters: readonly string[] = [],
  { nodeFlags = [] }: { readonly nodeFlags?: readonly string[] } = {},
): Promise<NodeChild> {
  const server = asServer(process.execPath, [
    ...nodeFlags,
    join(import.meta.dirname, file),
    ...parameters,
  ]);
  const child = spawn(server.command, server.parameters, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: CHILD_ENV,
  });
  const exited = once(child, 'exit');
  const said: string[] = [];
  const started = new Promise<string>((resolve) => {
    // Goes on reading after that, so that the child never waits for a reader.
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith('http://')) resolve(line);
      else said.push(line);
    });
  });
  const url = await Promise.race([started, exited.then(() => undefined)]);
  if (url === undefined || child.pid === undefined)
    throw new Error(`expected ${file} to print its url, got its end`);
  return {
    url,
    pid: child.pid,
    said,
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
