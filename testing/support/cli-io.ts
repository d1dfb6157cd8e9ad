/** The world of a command in a test: what it is given is written down, what it prints is kept. */
import type { Io, Output, Terminal } from '../../src/cli/io.ts';
import { main } from '../../src/cli/main.ts';

export interface CliRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Lines of standard output, each parsed. */
  json(): Record<string, unknown>[];
}

export interface CliWorld extends Partial<Omit<Io, 'stdout' | 'stderr' | 'stdin' | 'terminal'>> {
  readonly stdin?: string;
  /** Instead of text. */
  readonly stdinBytes?: Uint8Array;
  readonly stdinChunks?: AsyncIterable<Uint8Array>;
  /** Answers of somebody at a terminal, in order; `undefined`: nobody is there. */
  readonly answers?: readonly string[];
  readonly isTerminal?: boolean;
  /** Whatever is written, as it is written. */
  readonly onOutput?: (text: string) => void;
}

export async function runCli(argv: readonly string[], world: CliWorld = {}): Promise<CliRun> {
  const { stdin = '', stdinBytes, stdinChunks, answers, isTerminal = false, ...others } = world;
  const { onOutput = () => {}, ...rest } = others;
  const stdout = new Capture(isTerminal, onOutput);
  const stderr = new Capture(isTerminal, onOutput);
  const code = await main(argv, {
    stdout,
    stderr,
    stdin: stdinChunks ?? chunks(stdinBytes ?? new TextEncoder().encode(stdin)),
    terminal: answers && createAnswers(answers, stderr),
    env: {},
    now: Date.now,
    interrupt: new AbortController().signal,
    ...rest,
  });
  return {
    code,
    stdout: stdout.text,
    stderr: stderr.text,
    json: () =>
      stdout.text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line)),
  };
}

class Capture implements Output {
  text = '';
  readonly columns = 80;
  readonly isTerminal: boolean;
  readonly #onOutput: (text: string) => void;

  constructor(isTerminal: boolean, onOutput: (text: string) => void) {
    this.isTerminal = isTerminal;
    this.#onOutput = onOutput;
  }

  async write(given: string | Uint8Array): Promise<void> {
    const text = typeof given === 'string' ? given : Buffer.from(given).toString('latin1');
    this.text += text;
    this.#onOutput(text);
  }
}

function createAnswers(answers: readonly string[], stderr: Output): Terminal {
  const left = [...answers];
  const ask = async (question: string): Promise<string> => {
    await stderr.write(question);
    const answer = left.shift();
    if (answer === undefined) throw new Error(`nobody answers ${question}`);
    return answer;
  };
  return { ask, askSecret: ask };
}

async function* chunks(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  // Two pieces, so that a reader which stops after the first is found out.
  yield bytes.subarray(0, 3);
  yield bytes.subarray(3);
}
