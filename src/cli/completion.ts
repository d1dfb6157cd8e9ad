/** Completion scripts for shells: static text from the tree of commands. Pure. */
import type { Command, Option } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** A command, or the program itself: where it is reached and what can follow there. */
interface Place {
  /** `''`, `/init` or `/init/commit`. */
  readonly path: string;
  readonly commands: readonly Command[];
  readonly options: readonly Option[];
}

export function completionScript(program: Command, shell: Shell): string {
  const places = placesIn(program, '', program.options);
  return { bash, zsh, fish }[shell](places);
}

function placesIn(command: Command, path: string, globals: readonly Option[]): readonly Place[] {
  const own = command.options.filter((option) => !globals.includes(option));
  return [
    { path, commands: command.commands, options: [...own, ...globals] },
    ...command.commands.flatMap((child) => placesIn(child, `${path}/${child.name()}`, globals)),
  ];
}

function bash(places: readonly Place[]): string {
  return `_quorate() {
  local place='' words='' word
${walk(places, `"\${COMP_WORDS[@]:1:COMP_CWORD-1}"`)}
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _quorate quorate`;
}

function zsh(places: readonly Place[]): string {
  return `#compdef quorate
_quorate() {
  local place='' words_here='' word
${walk(places, `"\${(@)words[2,CURRENT-1]}"`).replaceAll('words=', 'words_here=')}
  compadd -- \${=words_here}
  _files
}
compdef _quorate quorate`;
}

/** Follows the words that are commands down the tree, then names what can follow. */
function walk(places: readonly Place[], typed: string): string {
  const below = places.filter(({ path }) => path !== '').map(({ path }) => path);
  return `  for word in ${typed}; do
    case "$place/$word" in
      ${below.join('|')}) place="$place/$word" ;;
    esac
  done
  case "$place" in
${places.map((place) => `    '${place.path}') words='${wordsAt(place).join(' ')}' ;;`).join('\n')}
  esac`;
}

function wordsAt({ commands, options }: Place): string[] {
  return [...commands.map((command) => command.name()), ...options.map(longName), '--help'];
}

function fish(places: readonly Place[]): string {
  return places
    .flatMap(({ path, commands, options }) => {
      const names = path.split('/').filter((name) => name !== '');
      const below = commands.map((command) => command.name()).join(' ');
      const condition = [
        ...names.map((name) => `__fish_seen_subcommand_from ${name}`),
        ...(below === '' ? [] : [`not __fish_seen_subcommand_from ${below}`]),
      ].join('; and ');
      return [
        ...commands.map(
          (child) =>
            `complete -c quorate -n '${condition}' -a ${child.name()} -d '${quoted(child.summary())}'`,
        ),
        ...options.map(
          (option) =>
            `complete -c quorate -n '${condition}' -l ${longName(option).slice(2)} -d '${quoted(option.description)}'`,
        ),
      ];
    })
    .join('\n');
}

function longName(option: Option): string {
  return option.long ?? option.flags;
}

function quoted(text: string): string {
  return text.replace(/['\\]/g, (c) => `\\${c}`);
}
