/** Servers whose disk is slow, though it is not: strace holds their fsyncs back. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { asServer } from './machine.ts';

const QUIETLY = ['-qq', '-o', '/dev/null', '-e', 'signal=none'];
const CALLS = 'fsync,fdatasync';

/** What runs a server every fsync of which takes so much longer. Only they are stopped at: all else is as quick as ever. */
export function slowedFsyncs(delayMs: number): readonly string[] {
  return ['strace', '-f', '--seccomp-bpf', ...QUIETLY, ...injected(`delay_exit=${delayMs}ms`)];
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
 * thread is stopped at, which makes it slower by some milliseconds a commit; no other thread is.
 */
export async function slowLaneUnevenly(pid: number, delayMs: number): Promise<AsyncDisposable> {
  const delays = injected(`delay_exit=${2 * delayMs}ms:when=1+2`);
  const parameters = ['-p', `${laneOf(pid)}`, '-o', '/dev/null', '-e', 'signal=none', ...delays];
  const server = asServer('strace', parameters);
  const strace = spawn(server.command, server.parameters, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(strace, 'exit');
  // Its end is the server's too, but not the other way round.
  const kill = () => void strace.kill('SIGTERM');
  process.once('exit', kill);
  const attached = new Promise<void>((resolve, reject) => {
    let said = '';
    strace.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes(' attached')) resolve();
    });
    strace.once('exit', () => reject(new Error(`expected strace to attach, got: ${said}`)));
  });
  await attached;
  return {
    [Symbol.asyncDispose]: async () => {
      process.off('exit', kill);
      kill();
      await ended;
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
