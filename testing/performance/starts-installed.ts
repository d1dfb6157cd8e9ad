/** Starts of the program as an operator has it, run by `quorate serve`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { logKeyFile } from '../support/log-key-file.ts';
import type { Bench } from './bench.ts';
import type { ChildServer } from './child.ts';
import { asServer } from './machine.ts';
import { installProgram } from './program.ts';
import { SERVICE_ENV, SERVICE_FLAGS } from './service-flags.ts';
import { type LongStartsPlan, openStartsOver } from './starts-long.ts';

/** Building takes half a minute: one bench is enough for all rounds, since each start is a new process anyway. */
export function openInstalledStarts(plan: LongStartsPlan, name: string): Promise<Bench> {
  return openStartsOver(plan, name, async (stack) => {
    const program = await installProgram(stack);
    return (data) => serve(program, data);
  });
}

/** With no more settings than an operator must give, on free ports. */
async function serve(program: string, data: string): Promise<ChildServer> {
  const server = asServer(process.execPath, [
    ...SERVICE_FLAGS,
    ...[program, 'serve', '--data', data, '--log-key', logKeyFile(), '--log-level', 'error'],
    ...['--listen', '127.0.0.1:0', '--metrics-listen', '127.0.0.1:0'],
  ]);
  const child = spawn(server.command, server.parameters, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...SERVICE_ENV },
  });
  const exited = once(child, 'exit');
  // It does not end with our standard input.
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
    process.off('exit', kill);
  };
  const lines = createInterface({ input: child.stdout });
  const said = await Promise.race([once(lines, 'line'), exited.then(() => [])]);
  const [url] = said as readonly string[];
  if (url === undefined || child.pid === undefined) {
    await stop();
    throw new Error('expected quorate serve to print its url, got its end');
  }
  return { url, pid: child.pid, [Symbol.asyncDispose]: stop };
}
