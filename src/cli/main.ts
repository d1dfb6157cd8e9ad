/** `quorate`: from arguments to an exit code. Commands throw; only this file turns a throw into words. */
import { CommanderError } from 'commander';
import { EXIT, type Failure, failureOf, renderFailure } from './failure.ts';
import { Interruption, type Io } from './io.ts';
import { createProcessIo } from './process-io.ts';
import { createProgram } from './program.ts';
import { asciiJson } from './text.ts';

/** `argv`: without the interpreter and the script. Resolves to the exit code; never rejects. */
export async function main(argv: readonly string[], io: Io = createProcessIo()): Promise<number> {
  const code = await exitCodeOf(argv, io);
  if (io.interrupt.aborted) io.leave?.(code);
  return code;
}

async function exitCodeOf(argv: readonly string[], io: Io): Promise<number> {
  const isJson = argv.includes('--json');
  try {
    await run(argv, io);
    return EXIT.done;
  } catch (error) {
    if (error instanceof Interruption) return error.exitCode;
    const failure = failureOf(error);
    // Help and the version were asked for, or help was printed in place of what is missing.
    const isSaid = error instanceof CommanderError && error.message === '(outputHelp)';
    if (failure.exitCode !== EXIT.done && !isSaid) await report(io, { failure, error, isJson });
    return failure.exitCode;
  }
}

async function run(argv: readonly string[], io: Io): Promise<void> {
  let endsByItself = false;
  const interrupted = new Promise<never>((_, reject) => {
    const onAbort = () => {
      if (!endsByItself) reject(io.interrupt.reason);
    };
    if (io.interrupt.aborted) onAbort();
    io.interrupt.addEventListener('abort', onAbort, { once: true });
  });
  const { command } = await createProgram(io, {
    words: argv.includes('completion') ? undefined : argv,
    endOnInterrupt: () => {
      endsByItself = true;
    },
  });
  await Promise.race([command.parseAsync(argv, { from: 'user' }), interrupted]);
}

async function report(
  io: Io,
  { failure, error, isJson }: { failure: Failure; error: unknown; isJson: boolean },
): Promise<void> {
  const { code, message, details } = failure;
  const text = isJson ? `${asciiJson({ code, message, details }, 0)}\n` : renderFailure(failure);
  await io.stderr.write(text);
  if (io.env.QUORATE_DEBUG && error instanceof Error) await io.stderr.write(`${error.stack}\n`);
}
