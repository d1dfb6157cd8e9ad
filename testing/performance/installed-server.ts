/** The program as an operator has it, run by `quorate serve` on the servers' core. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { logKeyFile } from '../support/log-key-file.ts';
import type { NodeChild } from './child.ts';
import { asServer } from './machine.ts';
import { SERVICE_ENV, SERVICE_FLAGS } from './service-flags.ts';

/** `program`: of `installProgram`. `settings`: beside a port, a log key and a quiet log. */
export async function serveInstalled(
  program: string,
  data: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<NodeChild> {
  // It tells where its metrics are in a line of the log, which is to be quiet.
  const metrics = `127.0.0.1:${await freePort()}`;
  const given = {
    ...{ data, log_key: logKeyFile(), log_level: 'error', listen: '127.0.0.1:0' },
    ...settings,
    metrics_listen: metrics,
  };
  const flags = Object.entries(given).flatMap(([name, value]) => [
    `--${name.replaceAll('_', '-')}`,
    value,
  ]);
  const server = asServer(process.execPath, [...SERVICE_FLAGS, program, 'serve', ...flags]);
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
  return {
    url,
    pid: child.pid,
    said: [`metrics http://${metrics}/metrics`],
    [Symbol.asyncDispose]: stop,
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string')
    throw new Error(`expected a port, got ${address}`);
  return address.port;
}
