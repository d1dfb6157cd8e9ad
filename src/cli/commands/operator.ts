/** `quorate operator`: what the operator of a running server does, over its Unix socket. */
import type { Command } from 'commander';
import { escapeText } from '../../core/error.ts';
import { parseVersion } from '../arguments.ts';
import type { Context } from '../context.ts';
import {
  type ActOptions,
  askAct,
  askStatus,
  SOCKET,
  TIMEOUT_MS,
  takeSnapshot,
} from '../operator-act.ts';
import type { JsonAnswer } from '../operator-socket.ts';
import {
  showCollection,
  showCompaction,
  showFreeze,
  showOperatorStatus,
  showPruning,
  showReload,
  showSnapshot,
  showThaw,
} from '../show-operator.ts';

export function defineOperator(command: Command, context: Context): void {
  const act = (name: string, summary: string) =>
    command.command(name).summary(summary).description(summary).option('--socket <path>', SOCKET);
  const why = '--reason <text>';
  act('status', 'show how the server is').action((options: ActOptions) => status(context, options));
  act('freeze', 'let nothing be written from now on; reads go on')
    .requiredOption(why, 'why; everybody whose write is refused is told')
    .action((options: ActOptions) =>
      perform(context, { ...options, act: 'freeze', show: showFreeze }),
    );
  act('thaw', 'let writes go on')
    .requiredOption(why, 'why; for the audit log')
    .action((options: ActOptions) => perform(context, { ...options, act: 'thaw', show: showThaw }));
  act('reload', 'take the configuration up again')
    .option(why, 'why; for the audit log')
    .action((options: ActOptions) =>
      perform(context, { ...options, act: 'reload', show: showReload }),
    );
  act('snapshot', 'copy the database while it is in use, and verify the copy')
    .option(why, 'why; for the audit log')
    .action((options: ActOptions) => snapshot(context, options));
  act('compact', 'fold the write-ahead log and drop expired proposals')
    .option(why, 'why; for the audit log')
    .action((options: ActOptions) =>
      perform(context, { ...options, act: 'compact', show: showCompaction }),
    );
  act('collect', 'remove the blobs that nothing names any more')
    .option(why, 'why; for the audit log')
    .action(async (options: ActOptions) =>
      print(context, await askAct(context, 'collect', options), showCollection),
    );
  act('prune', 'let go of older payloads and approvals that a verified snapshot holds')
    .option(
      '--oldest <version>',
      'the lowest version to keep whole; default: by the settings',
      parseVersion,
    )
    .option(why, 'why; for the audit log')
    .action((options: PruneOptions) => prune(context, options));
}

interface PruneOptions extends ActOptions {
  readonly oldest?: number;
}

/** It takes as long as it takes: a snapshot may have to be made first. */
async function prune(context: Context, options: PruneOptions): Promise<void> {
  await print(context, await askAct(context, 'prune', options), showPruning);
}

interface Act extends ActOptions {
  readonly act: string;
  readonly show: (answer: JsonAnswer) => string;
}

async function status(context: Context, options: ActOptions): Promise<void> {
  await print(context, await askStatus(context, options), showOperatorStatus);
}

async function perform(context: Context, { act, show, ...options }: Act): Promise<void> {
  await print(context, await askAct(context, act, { ...options, timeoutMs: TIMEOUT_MS }), show);
}

async function snapshot(context: Context, options: ActOptions): Promise<void> {
  await print(context, await takeSnapshot(context, options), showSnapshot);
}

async function print(
  { globals, printJson, print: write }: Context,
  answer: JsonAnswer,
  show: (answer: JsonAnswer) => string,
): Promise<void> {
  await (globals.isJson
    ? printJson(answer)
    : write(show(answer).split('\n').map(escapeText).join('\n')));
}
