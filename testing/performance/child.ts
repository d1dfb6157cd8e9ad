/** A server as a child process that prints its URL, among whatever else, and ends when its standard input does. */
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
  const started = new Promise<string>((resolve) => {
    // Goes on reading after that, so that the child never waits for a reader.
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith('http://')) resolve(line);
    });
  });
  const url = await Promise.race([started, exited.then(() => undefined)]);
  if (url === undefined) throw new Error(`expected ${file} to print its url, got its end`);
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
