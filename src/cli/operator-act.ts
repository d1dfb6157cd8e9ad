/** Acts of an operator asked for at the socket of a running server, in the name of whoever runs the command. */
import { userInfo } from 'node:os';
import type { Context } from './context.ts';
import { askOperator, type JsonAnswer } from './operator-socket.ts';
import type { Progress } from './progress.ts';

export interface ActOptions {
  readonly socket?: string;
  readonly reason?: string;
}

const DEFAULT_SOCKET = './data/operator.sock';
/** What `--socket` means. */
export const SOCKET = `the operator socket of the server (QUORATE_OPERATOR_SOCKET; ${DEFAULT_SOCKET})`;
/** Longer than a freeze waits for the commits before it. */
export const TIMEOUT_MS = 60_000;
const POLL_MS = 250;
const MEBIBYTE = 1024 * 1024;

export function askStatus(context: Context, options: ActOptions): Promise<JsonAnswer> {
  return askOperator(socketOf(context, options), {
    method: 'GET',
    path: '/operator/status',
    timeoutMs: TIMEOUT_MS,
  });
}

export function askAct(
  context: Context,
  act: string,
  options: ActOptions & { readonly timeoutMs?: number; readonly oldest?: number },
): Promise<JsonAnswer> {
  const { reason, timeoutMs, oldest } = options;
  return askOperator(socketOf(context, options), {
    method: 'POST',
    path: `/operator/${act}`,
    body: { ...(reason !== undefined && { reason }), ...(oldest !== undefined && { oldest }) },
    operator: nameOf(context),
    ...(timeoutMs !== undefined && { timeoutMs }),
  });
}

/** It takes as long as it takes; meanwhile the status says how far it is. */
export async function takeSnapshot(context: Context, options: ActOptions): Promise<JsonAnswer> {
  const ended = new AbortController();
  const watching = watchSnapshot(context, options, ended.signal);
  try {
    return await askAct(context, 'snapshot', options);
  } finally {
    ended.abort();
    await watching;
  }
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
    verifying: context.progress('MiB packed and verified'),
  };
  while (!signal.aborted) {
    const { snapshot: state } = await askStatus(context, options).catch(() => ({ snapshot: null }));
    if (isState(state))
      bars[state.phase]?.show(Math.ceil(state.done / MEBIBYTE), Math.ceil(state.total / MEBIBYTE));
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
