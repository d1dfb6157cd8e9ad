/** Servers whose disk is slow, though it is not: strace holds their fsyncs back. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { asServer } from './machine.ts';

const CALLS = 'fsync,fdatasync';

/** What runs a server every fsync of which takes so much longer. Only they are stopped at: all else is as quick as ever. */
export function slowedFsyncs(delayMs: number): readonly string[] {
  const quietly = ['-qq', '-o', '/dev/null', '-e', 'signal=none'];
  return ['strace', '-f', '--seccomp-bpf', ...quietly, ...injected(`delay_exit=${delayMs}ms`)];
}

/** The strace that a process runs under. */
export function tracerOf(pid: number): number {
  const found = /^TracerPid:\s+([1-9]\d*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (found === null) throw new Error(`expected process ${pid} to be traced, it is not`);
  return Number(found[1]);
}

/**
 * From now on, until it is disposed, every other fsync of a running server's commit lane takes twice
 * `delayMs` longer and the others nothing: `delayMs` on average, and never the same twice. Each call of that
 * thread is stopped at, which makes it slower by some milliseconds a commit; no other thread is. Its disposal
 * throws when no call was delayed.
 */
export async function slowLaneUnevenly(pid: number, delayMs: number): Promise<AsyncDisposable> {
  const delays = injected(`delay_exit=${2 * delayMs}ms:when=1+2`);
  const parameters = ['-p', laneOf(pid), '-e', 'signal=none', ...delays];
  const server = asServer('strace', parameters);
  const strace = spawn(server.command, server.parameters, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(strace, 'close');
  // Its end is the server's too, but not the other way round.
  const kill = () => void strace.kill('SIGTERM');
  process.once('exit', kill);
  // What it is attached to, and then each call.
  let said = '';
  await new Promise<void>((resolve, reject) => {
    strace.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes(' attached')) resolve();
    });
    strace.once('exit', () => reject(new Error(`expected strace to attach, got: ${said}`)));
  });
  return {
    [Symbol.asyncDispose]: async () => {
      process.off('exit', kill);
      kill();
      await ended;
      if (!said.includes('(DELAYED)'))
        throw new Error(`expected fsyncs to be delayed, got: ${said}`);
    },
  };
}

function injected(effect: string): readonly string[] {
  return ['-e', `trace=${CALLS}`, '-e', `inject=${CALLS}:${effect}`];
}

/** The thread that commits. */
function laneOf(pid: number): string {
  const tasks = `/proc/${pid}/task`;
  const lane = readdirSync(tasks).find(
    (thread) => readFileSync(`${tasks}/${thread}/comm`, 'utf8').trim() === 'commit-lane',
  );
  if (lane === undefined) throw new Error(`expected a commit lane in process ${pid}, got none`);
  return lane;
}
