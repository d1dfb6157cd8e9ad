/** One turn of wrk: as many requests as the server answers, over keep-alive connections of one thread. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { TOOL_ENV } from './machine.ts';

const run = promisify(execFile);
const SCRIPT = join(import.meta.dirname, 'wrk.lua');
/** What it may take beyond its seconds. */
const GRACE_MS = 20_000;

export interface Turn {
  readonly requests: number;
  readonly perSecond: number;
  /** Microseconds. */
  readonly latencyUs: Readonly<Record<'50' | '75' | '90' | '95' | '99' | '99.9', number>>;
}

export interface TurnOptions {
  readonly connections: number;
  readonly seconds: number;
  readonly headers?: readonly string[];
  /** JSON to be posted. Default: a GET. */
  readonly body?: string;
}

/** Throws unless every answer was a 2xx or 3xx. */
export async function runWrk(
  url: string,
  { connections, seconds, headers = [], body }: TurnOptions,
): Promise<Turn> {
  const parameters = ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', SCRIPT];
  for (const header of headers) parameters.push('-H', header);
  const target = body === undefined ? [url] : [url, body];
  const { stdout } = await run('wrk', [...parameters, ...target], {
    env: TOOL_ENV,
    timeout: seconds * 1_000 + GRACE_MS,
    killSignal: 'SIGKILL',
  });
  return parseTurn(stdout);
}

export function parseTurn(text: string): Turn {
  const line = /^QUORATE (\{.*\})$/m.exec(text)?.[1];
  if (line === undefined) throw new Error(`expected a line of figures from wrk, got ${text}`);
  const { requests, us, bad, latency } = JSON.parse(line);
  if (bad > 0 || !(requests > 0))
    throw new Error(`expected only good answers, got ${bad} bad ones of ${requests}`);
  return { requests, perSecond: (requests * 1e6) / us, latencyUs: latency };
}
