/** A witness as a server: its key, the logs it watches, its memory on disk, and a listener. */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { RegistryError } from '../core/error.ts';
import { type ListedLog, parseLogList } from '../core/tlog/log-list.ts';
import { parseVerifierKey } from '../core/vkey.ts';
import { createWitnessHandler } from '../http/witness.ts';
import { createCosignerKey } from '../registry/witness-cosign.ts';
import { LogWitness, type WatchedLog } from '../registry/witness-role.ts';
import { openWitnessStore } from '../store/witness-store.ts';
import type { Log } from '../telemetry/log.ts';
import { addressKey } from './address-key.ts';
import { type Address, formatAddress } from './config-values.ts';
import { createFatal, killProcess } from './fatal.ts';
import { HttpServer } from './http-server.ts';
import type { KeySource } from './key-source.ts';
import { fetchListener } from './listen/fetch-listener.ts';
import { createLog } from './log.ts';
import { createNoteVerifier } from './note-verifier.ts';
import { problemResponse } from './raw-problem.ts';
import { RefusalLog } from './refusal-log.ts';
import { openSigningKey } from './signing-key.ts';
import { makeMissing } from './sync-directory.ts';
import { TIMERS } from './timers.ts';

export interface WitnessOptions {
  readonly key: KeySource;
  /** The witness's own, as readers know it. */
  readonly name: string;
  readonly dbPath: string;
  readonly listen: Address;
  /** Verifier keys of logs that are named by their keys. */
  readonly logs: readonly string[];
  /** Files in the format `logs/v0`. */
  readonly logLists: readonly string[];
  /** Before every path; empty, or such as `/witness`. */
  readonly prefix: string;
  readonly signal?: AbortSignal;
  /** Default: JSON lines on standard error. */
  readonly log?: Log;
  /** Milliseconds since 1970. Default: this machine's. */
  readonly now?: () => number;
  /** Default: SIGKILL to itself. */
  readonly kill?: () => void;
}

export interface RunningWitness extends AsyncDisposable {
  /** With the prefix, and the port in force. */
  readonly url: string;
  readonly vkey: string;
  readonly stopped: Promise<void>;
  stop(): Promise<void>;
}

const TIMEOUTS = { headersMs: 5_000, requestMs: 10_000, keepAliveMs: 65_000 };
const DRAIN_MS = 5_000;

/** Throws `invalid_request`, `malformed` (a log list), or what opening the database throws. */
export async function startWitness(options: WitnessOptions): Promise<RunningWitness> {
  const { log = createLog({ level: 'info' }), now = Date.now, kill = killProcess } = options;
  if (!/^(\/[A-Za-z0-9._~-]+)*$/.test(options.prefix))
    throw new RegistryError(
      'invalid_request',
      `expected a prefix such as /witness, got ${JSON.stringify(options.prefix)}`,
    );
  const logs = await watchedLogs(options);
  const key = createCosignerKey(options.name, await openSigningKey(options.key));
  await makeMissing(dirname(options.dbPath));
  const store = openWitnessStore(options.dbPath);
  try {
    const onFatal = createFatal({ log, kill });
    const verifier = createNoteVerifier();
    const witness = new LogWitness({ key, logs, store, verifier, log, now, onFatal });
    const refusals = new RefusalLog({ log, timers: TIMERS });
    const handler = createWitnessHandler({
      witness,
      prefix: options.prefix,
      log,
      // Who asks is not known here: they share one bound.
      onRefused: (fields) => refusals.refused('', fields),
    });
    const server = new HttpServer({
      timeouts: TIMEOUTS,
      listener: fetchListener(handler, () =>
        problemResponse({ status: 400, detail: 'expected a path' }),
      ),
      onRefused: ({ status, detail }, { remoteAddress }) =>
        refusals.refused(addressKey(remoteAddress), { status, detail }),
      onError: (error) => log.error('a connection could not be accepted', { error }),
    });
    const url = `http://${formatAddress(await server.listen(options.listen))}${options.prefix}`;
    log.info(`witnessing on ${url}`, { vkey: key.vkey, logs: logs.length });
    const running = new Running({ url, vkey: key.vkey }, async () => {
      await server.close(DRAIN_MS);
      refusals.close();
      await witness.idle();
      store[Symbol.dispose]();
    });
    if (options.signal?.aborted === true) await running.stop();
    options.signal?.addEventListener('abort', () => void running.stop(), { once: true });
    return running;
  } catch (error) {
    store[Symbol.dispose]();
    throw error;
  }
}

class Running implements RunningWitness {
  readonly url: string;
  readonly vkey: string;
  readonly stopped: Promise<void>;
  readonly #close: () => Promise<void>;
  readonly #stopped = Promise.withResolvers<void>();
  #isStopping = false;

  constructor({ url, vkey }: { url: string; vkey: string }, close: () => Promise<void>) {
    this.url = url;
    this.vkey = vkey;
    this.#close = close;
    this.stopped = this.#stopped.promise;
  }

  stop(): Promise<void> {
    if (!this.#isStopping) {
      this.#isStopping = true;
      this.#stopped.resolve(this.#close());
    }
    return this.stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

async function watchedLogs({
  logs,
  logLists,
}: Pick<WitnessOptions, 'logs' | 'logLists'>): Promise<readonly WatchedLog[]> {
  const listed = [...logs.map(logOf), ...(await Promise.all(logLists.map(readLogList))).flat()];
  const byOrigin = Map.groupBy(listed, ({ origin }) => origin);
  if (byOrigin.size === 0)
    throw new RegistryError(
      'invalid_request',
      'expected at least one log to watch, by its verifier key or in a log list, got none',
    );
  return [...byOrigin].map(([origin, same]) => ({ origin, keys: same.map(({ key }) => key) }));
}

function logOf(vkey: string): Pick<ListedLog, 'origin' | 'key'> {
  const key = parseVerifierKey(vkey);
  if (key === undefined || key.type === 'cosigner')
    throw new RegistryError(
      'invalid_request',
      `expected the verifier key of a log, got ${JSON.stringify(vkey)}`,
    );
  return { origin: key.name, key };
}

async function readLogList(path: string): Promise<readonly ListedLog[]> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new RegistryError('invalid_request', `expected a readable log list at ${path}`, {
      cause,
    });
  });
  return parseLogList(text);
}
