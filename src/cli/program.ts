/** The tree of commands. Only the modules that the arguments name are loaded: a reader's start stays short. */
import { Command } from 'commander';
import { readBuildInfo } from '../server/build-info.ts';
import { CATALOGUE, type CatalogueEntry } from './catalogue.ts';
import type { Context } from './context.ts';
import { createContext } from './create-context.ts';
import { addGlobals } from './globals.ts';
import type { Io } from './io.ts';

export interface Program {
  readonly command: Command;
  readonly context: Context;
}

const EPILOGUE = `
Exit codes: 0 done, 1 failure, 2 usage, 3 verification failed, 4 unavailable, 130 interrupted.
Data goes to standard output, everything else to standard error.`;

/** `words`: the arguments; `undefined` loads every command, as for a completion script. */
export async function createProgram(
  io: Io,
  {
    words,
    endOnInterrupt,
  }: { readonly words: readonly string[] | undefined; readonly endOnInterrupt: () => void },
): Promise<Program> {
  const command = addGlobals(new Command('quorate'))
    .description(
      'An append-only registry of signed descriptors: M of N approvals, verifiable reads.',
    )
    .addHelpText('after', EPILOGUE)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      // `main` says what was wrong.
      outputError: () => {},
    })
    .exitOverride();
  const isMeant = ({ name }: CatalogueEntry) => words === undefined || words.includes(name);
  // Of two options with one name the outer one would win.
  if (words === undefined || !CATALOGUE.some((entry) => entry.hasVersion && isMeant(entry)))
    command.version(readBuildInfo().version, '-V, --version');
  const context = createContext(io, { program: command, endOnInterrupt });
  for (const entry of CATALOGUE) {
    const child = command.command(entry.name).summary(entry.summary).description(entry.summary);
    if (isMeant(entry)) (await entry.load())(child, context);
  }
  return { command, context };
}
