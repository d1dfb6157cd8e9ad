/** Questions to somebody at a terminal, on the error stream: standard output is for data. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { Terminal } from './io.ts';

export interface TerminalStreams {
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
  /** What ^C means while an answer is typed: the terminal then sends a character, not a signal. */
  readonly onInterrupt: () => void;
}

export function createTerminal({ input, output, onInterrupt }: TerminalStreams): Terminal {
  const answer = async (question: string, echo: NodeJS.WritableStream): Promise<string> => {
    const lines = createInterface({ input, output: echo, terminal: true, historySize: 0 });
    const gone = Promise.withResolvers<string>();
    lines.once('SIGINT', onInterrupt);
    // An end of the input is an answer too: none.
    lines.once('close', () => gone.resolve(''));
    try {
      return await Promise.race([lines.question(question), gone.promise]);
    } finally {
      lines.close();
    }
  };
  return {
    ask: (question) => answer(question, output),
    askSecret: async (question) => {
      output.write(question);
      const typed = await answer('', new Writable({ write: (_chunk, _coding, done) => done() }));
      output.write('\n');
      return typed;
    },
  };
}
