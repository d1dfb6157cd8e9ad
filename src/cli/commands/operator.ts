/** `quorate operator`: what the operator of a running server does, over its Unix socket. */
import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { escapeText } from '../../core/error.ts';
import type { Context } from '../context.ts';
import { askOperator, type JsonAnswer } from '../operator-socket.ts';
import type { Progress } from '../progress.ts';
import {
  showCompaction,
  showFreeze,
  showOperatorStatus,
  showReload,
  showSnapshot,
  showThaw,
} from '../show-operator.ts';

interface ActOptions {
  readonly socket?: string;
  readonly reason?: string;
}

const DEFAULT_SOCKET = './data/operator.sock';
/** Longer than a freeze waits for the commits before it. */
const TIMEOUT_MS = 60_000;
const POLL_MS = 250;
const MEBIBYTE = 1024 * 1024;

export function defineOperator(command: Command, context: Context): void {
  const act = (name: string, summary: string) =>
    command
      .command(name)
      .summary(summary)
      .description(summary)
      .option(
        '--socket <path>',
        `the operator socket of the server (QUORATE_OPERATOR_SOCKET; ${DEFAULT_SOCKET})`,
      );
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
}

interface Act extends ActOptions {
  readonly act: string;
  readonly show: (answer: JsonAnswer) => string;
}

async function status(context: Context, options: ActOptions): Promise<void> {
  await print(context, await askStatus(context, options), showOperatorStatus);
}

function askStatus(context: Context, options: ActOptions): Promise<JsonAnswer> {
  return askOperator(socketOf(context, options), {
    method: 'GET',
    path: '/operator/status',
    timeoutMs: TIMEOUT_MS,
  });
}

async function perform(context: Context, { act, show, ...options }: Act): Promise<void> {
  await print(context, await ask(context, act, { ...options, timeoutMs: TIMEOUT_MS }), show);
}

/** It takes as long as it takes; meanwhile the status says how far it is. */
async function snapshot(context: Context, options: ActOptions): Promise<void> {
  const ended = new AbortController();
  const watching = watchSnapshot(context, options, ended.signal);
  let answer: JsonAnswer;
  try {
    answer = await ask(context, 'snapshot', options);
  } finally {
    ended.abort();
    await watching;
  }
  await print(context, answer, showSnapshot);
}

function ask(
  context: Context,
  act: string,
  options: ActOptions & { readonly timeoutMs?: number },
): Promise<JsonAnswer> {
  const { reason, timeoutMs } = options;
  return askOperator(socketOf(context, options), {
    method: 'POST',
    path: `/operator/${act}`,
    body: reason === undefined ? {} : { reason },
    operator: nameOf(context),
    ...(timeoutMs !== undefined && { timeoutMs }),
  });
}

/** Shows two bars, one after the other, until it is aborted; never throws. */
async function watchSnapshot(
  context: Context,
  options: ActOptions,
  signal: AbortSignal,
): Promise<void> {
  if (!context.io.stderr.isTerminal || context.globals.isQuiet) return;
  const bars: Readonly<Record<string, Progress>> = {
    copying: context.progress('MiB copied'),
    verifying: context.progress('entries verified'),
  };
  while (!signal.aborted) {
    const { snapshot: state } = await askStatus(context, options).catch(() => ({ snapshot: null }));
    if (isState(state)) {
      const unit = state.phase === 'copying' ? MEBIBYTE : 1;
      bars[state.phase]?.show(Math.ceil(state.done / unit), Math.ceil(state.total / unit));
    }
    await pause(POLL_MS, signal);
  }
  for (const bar of Object.values(bars)) await bar.end();
}

function isState(value: unknown): value is { phase: string; done: number; total: number } {
  return typeof value === 'object' && value !== null && 'phase' in value && 'done' in value;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
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

function socketOf({ io }: Context, { socket }: ActOptions): string {
  return socket ?? (io.env.QUORATE_OPERATOR_SOCKET || DEFAULT_SOCKET);
}

/** A claim, not a proof: whoever can open the socket may say any name. */
function nameOf({ io: { env } }: Context): string | undefined {
  const named = env.SUDO_USER || env.USER || env.LOGNAME;
  if (named) return named;
  try {
    return userInfo().username;
  } catch {
    // A user without an entry in the password file.
    return undefined;
  }
}
