/** The reference of every command as Markdown, from the program itself. Run, it prints what docs/cli.md must hold. */
import type { Command } from 'commander';
import { createProgram } from '../../src/cli/program.ts';
import { SETTINGS } from '../../src/server/config-schema.ts';

/** `--registry` is an option of every command. */
const SETTING_FLAGS = new Set(
  SETTINGS.map(({ flag }) => flag).filter((flag) => flag !== '--registry'),
);

export async function loadedProgram(): Promise<Command> {
  const silent = { write: async () => {}, isTerminal: false, columns: 80 };
  const { command } = await createProgram(
    {
      stdout: silent,
      stderr: silent,
      stdin: nothing(),
      terminal: undefined,
      env: {},
      now: () => 0,
      interrupt: new AbortController().signal,
    },
    { words: undefined, endOnInterrupt: () => {} },
  );
  return command;
}

export function referenceOf(program: Command): string {
  const globals = `### Every command\n\n${optionTable(program)}`;
  return [globals, ...program.commands.flatMap((command) => sections(command, program))].join(
    '\n\n',
  );
}

function sections(command: Command, program: Command, above = program.name()): string[] {
  const name = `${above} ${command.name()}`;
  const usage = [name, ...command.registeredArguments.map(argumentText)].join(' ');
  const parts = [
    `### \`${name}\``,
    `\`${usage}\`: ${command.description()}.`.replace(/\.\.$/, '.'),
    ...(command.registeredArguments.length > 0 ? [argumentTable(command)] : []),
    ...(command.options.length > 0 ? [optionTable(command)] : []),
  ];
  return [
    parts.join('\n\n'),
    ...command.commands.flatMap((child) => sections(child, program, name)),
  ];
}

function argumentText(argument: Command['registeredArguments'][number]): string {
  const text = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return argument.required ? `<${text}>` : `[${text}]`;
}

function argumentTable({ registeredArguments }: Command): string {
  const rows = registeredArguments.map(
    (argument) => `| \`${argumentText(argument)}\` | ${cell(argument.description)} |`,
  );
  return ['| argument | meaning |', '|---|---|', ...rows].join('\n');
}

function optionTable({ options }: Command): string {
  const isServed = options.some(({ long }) => long === '--config');
  const own = options.filter(({ long }) => !isServed || !SETTING_FLAGS.has(long ?? ''));
  const rows = own.map(({ flags, description, defaultValue, defaultValueDescription }) => {
    const initial =
      defaultValueDescription ?? (typeof defaultValue === 'boolean' ? '' : (defaultValue ?? ''));
    const suffix = initial === '' ? '' : ` (default: ${initial})`;
    return `| \`${flags.replaceAll('|', '\\|')}\` | ${cell(description)}${suffix} |`;
  });
  // Each setting has its row in CONFIG.md already.
  if (isServed)
    rows.push(
      '| `--SETTING <value>` | any setting of [CONFIG.md](../CONFIG.md), such as `--listen` |',
    );
  return ['| option | meaning |', '|---|---|', ...rows].join('\n');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

if (import.meta.main) process.stdout.write(`${referenceOf(await loadedProgram())}\n`);
