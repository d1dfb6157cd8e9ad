/** A server as a child process that prints its URL first and ends when its standard input does. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface ChildServer extends AsyncDisposable {
  readonly url: string;
}

/** `file`: beside this one. */
export async function startChild(file: string, args: readonly string[] = []): Promise<ChildServer> {
  const child = spawn(process.execPath, [join(import.meta.dirname, file), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const started = once(createInterface({ input: child.stdout }), 'line');
  const [url]: unknown[] = await Promise.race([started, exited]);
  if (typeof url !== 'string') throw new Error(`expected ${file} to print its url, got its end`);
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
