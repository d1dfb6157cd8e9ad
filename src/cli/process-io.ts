/** The real world: standard streams, environment, clock and signals of this process. */
import type { WriteStream } from 'node:tty';
import { EXIT } from './failure.ts';
import { Interruption, type Io, type Output } from './io.ts';
import { createTerminal } from './terminal.ts';

export function createProcessIo(): Io {
  const interruption = new AbortController();
  const interrupt = (code: number) => interruption.abort(new Interruption(code));
  // Once: a second signal finds the default handler and ends the process at once.
  process.once('SIGINT', () => interrupt(EXIT.interrupted));
  process.once('SIGTERM', () => interrupt(EXIT.terminated));
  // Nobody reads any more, as after `| head`: that is an end, not a failure.
  const onBroken = ({ code }: NodeJS.ErrnoException) =>
    interrupt(code === 'EPIPE' ? EXIT.done : EXIT.failed);
  process.stdout.on('error', onBroken);
  process.stderr.on('error', onBroken);
  const { stdin, stdout, stderr } = process;
  const onInterrupt = () => interrupt(EXIT.interrupted);
  return {
    stdout: outputOf(stdout),
    stderr: outputOf(stderr),
    stdin,
    terminal:
      stdin.isTTY && stderr.isTTY
        ? createTerminal({ input: stdin, output: stderr, onInterrupt })
        : undefined,
    env: process.env,
    now: Date.now,
    interrupt: interruption.signal,
    onHangup: (listener) => process.on('SIGHUP', listener),
    leave: (code) => process.exit(code),
  };
}

function outputOf(stream: WriteStream): Output {
  return {
    // The callback also comes after a failure, which `onBroken` judges.
    write: (text) => new Promise((resolve) => stream.write(text, () => resolve())),
    isTerminal: stream.isTTY === true,
    columns: stream.columns ?? 80,
  };
}
