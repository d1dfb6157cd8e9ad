/** The real world: standard streams, environment, clock and signals of this process. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { WriteStream } from 'node:tty';
import { Interruption, type Io, type Output, type Terminal } from './io.ts';

const EXIT_SIGINT = 130;
const EXIT_SIGTERM = 143;

export function createProcessIo(): Io {
  const interruption = new AbortController();
  const interrupt = (code: number) => interruption.abort(new Interruption(code));
  // Once: a second signal finds the default handler and ends the process at once.
  process.once('SIGINT', () => interrupt(EXIT_SIGINT));
  process.once('SIGTERM', () => interrupt(EXIT_SIGTERM));
  // Nobody reads any more, as after `| head`: that is an end, not a failure.
  const onBroken = (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    interrupt(0);
  };
  process.stdout.on('error', onBroken);
  process.stderr.on('error', onBroken);
  const canAsk = process.stdin.isTTY === true && process.stderr.isTTY === true;
  return {
    stdout: outputOf(process.stdout),
    stderr: outputOf(process.stderr),
    stdin: process.stdin,
    terminal: canAsk ? createTerminal() : undefined,
    env: process.env,
    now: Date.now,
    interrupt: interruption.signal,
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

function createTerminal(): Terminal {
  return {
    ask: async (question) => {
      const lines = createInterface({ input: process.stdin, output: process.stderr });
      try {
        return await lines.question(question);
      } finally {
        lines.close();
      }
    },
    askSecret: async (question) => {
      process.stderr.write(question);
      const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
      const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
      // In raw mode the terminal sends ^C as a character, which readline turns into this event.
      lines.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
      try {
        return await lines.question('');
      } finally {
        lines.close();
        process.stderr.write('\n');
      }
    },
  };
}
