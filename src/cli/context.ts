/** What every command is given: how to print, how to reach the registry, and what the user chose. */
import type { Command } from 'commander';
import type { Client } from '../client/client.ts';
import { canonicalText } from '../core/canonical.ts';
import { RegistryError } from '../core/error.ts';
import { connect } from './connect.ts';
import { type Globals, readGlobals } from './globals.ts';
import type { Io } from './io.ts';
import { createProgress, type Progress } from './progress.ts';
import { createStyle, type Style } from './style.ts';

export interface Context {
  readonly io: Io;
  /** Throws a usage error for an environment variable that means nothing. */
  readonly globals: Globals;
  /** For standard output, and for standard error. */
  readonly style: Style;
  readonly errorStyle: Style;
  /** A line, or several, of data. */
  print(text: string): Promise<void>;
  /** One line of canonical JSON. */
  printJson(value: unknown): Promise<void>;
  /** A remark on standard error; nothing with `--quiet`. */
  say(text: string): Promise<void>;
  progress(label: string): Progress;
  /** A verifying client of the registry the user named, with its trusted state; one for each run. */
  client(): Promise<Client>;
  /** `true` when somebody agreed; throws when there is nobody to ask. */
  confirm(question: string): Promise<boolean>;
  /** The command ends by itself when it is interrupted. */
  endOnInterrupt(): void;
}

/** Fills in what is known only once the arguments were parsed, when a command first asks for it. */
export function createContext(
  io: Io,
  { program, endOnInterrupt }: { program: Command; endOnInterrupt: () => void },
): Context {
  let globals: Globals | undefined;
  let client: Promise<Client> | undefined;
  const errorStyle = createStyle(io.stderr, io.env);
  const context: Context = {
    io,
    get globals() {
      globals ??= readGlobals(program, io.env);
      return globals;
    },
    style: createStyle(io.stdout, io.env),
    errorStyle,
    print: (text) => io.stdout.write(`${text}\n`),
    printJson: (value) => io.stdout.write(`${canonicalText(value)}\n`),
    say: async (text) => {
      if (program.opts().quiet !== true) await io.stderr.write(`${text}\n`);
    },
    progress: (label) =>
      createProgress({
        output: io.stderr,
        label,
        now: io.now,
        isShown: io.stderr.isTerminal && !context.globals.isQuiet,
      }),
    client: () => {
      client ??= connect(context);
      return client;
    },
    confirm: async (question) => {
      if (io.terminal === undefined)
        throw new RegistryError(
          'invalid_request',
          'expected somebody at a terminal to answer, got none: --yes answers for them',
        );
      return /^y(es)?$/i.test((await io.terminal.ask(`${question} [y/N] `)).trim());
    },
    endOnInterrupt,
  };
  return context;
}
