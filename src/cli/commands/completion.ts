/** `quorate completion`: a script that knows every command and option, made from the same tree as the help. */
import type { Command } from 'commander';
import { completionScript, SHELLS, type Shell } from '../completion.ts';
import type { Context } from '../context.ts';

export function defineCompletion(command: Command, { print }: Context): void {
  const [bash] = SHELLS;
  command
    .addArgument(command.createArgument('<shell>', 'which shell').choices(SHELLS))
    .addHelpText('after', `\nIn ${bash}: source <(quorate completion ${bash})`)
    .action((shell: Shell) => print(completionScript(command.parent ?? command, shell)));
}
