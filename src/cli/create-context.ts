/** The context of one run of the program, over its Io. */
import type { Command } from 'commander';
import type { Client } from '../client/client.ts';
import { canonicalText } from '../core/canonical.ts';
import { RegistryError } from '../core/error.ts';
import { connect } from './connect.ts';
import type { Context } from './context.ts';
import { type Globals, readGlobals } from './globals.ts';
import type { Io } from './io.ts';
import { createProgress } from './progress.ts';
import { createStyle } from './style.ts';
import { asciiJsonText } from './text.ts';

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
    printJson: (value) => context.printJsonText(canonicalText(value)),
    printJsonText: (json) =>
      io.stdout.write(`${io.stdout.isTerminal ? asciiJsonText(json) : json}\n`),
    say: async (text) => {
      if (program.opts().quiet !== true) await io.stderr.write(`${text}\n`);
    },
    progress: (label) =>
      createProgress({
        output: io.stderr,
        label,
        now: io.now,
        isShown: !context.globals.isQuiet,
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
