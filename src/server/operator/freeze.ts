/**
 * An operator's freeze: while it stands nothing new is written, and everything is still read. A file
 * keeps it, so that no restart and no crash thaws it; a file that says nothing sure counts as a freeze.
 */
import { constants } from 'node:fs';
import { open, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { canonicalText, parseCanonical } from '../../core/canonical.ts';
import { Check } from '../../core/check.ts';
import { excerpt, RegistryError } from '../../core/error.ts';
import { formatTime } from '../../core/time.ts';
import type { WriteGate } from '../../registry/gates.ts';
import type { Log } from '../../telemetry/log.ts';
import { replaceFile } from '../replace-file.ts';
import { syncDirectory } from '../sync-directory.ts';

export interface Frozen {
  /** In the operator's words, and told to everybody who would write. */
  readonly reason: string;
  /** `null`: the file did not say. */
  readonly since: string | null;
  /** `false`: a restart may forget it, or may not be able to read it. */
  readonly isKept: boolean;
}

export interface Freeze extends WriteGate {
  /** `null`: not frozen. */
  readonly state: Frozen | null;
  /**
   * Shuts at once; durable when it resolves, with whether anything changed: a freeze that stands keeps
   * its reason. Throws `storage_failed` or `read_only` where it could not be kept; it is shut then too.
   */
  freeze(reason: string): Promise<boolean>;
  /** Answers whether there was a freeze to lift. Throws like `freeze`; then it still stands. */
  thaw(reason: string): Promise<boolean>;
}

export interface FreezeParts {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Log;
}

/** A reason of 1,024 characters, in canonical JSON, is far below it. */
const MAX_FILE_BYTES = 64 * 1024;

/** `path`: a file in the data directory; `null`: in memory, gone with the process. Never throws. */
export async function openFreeze(path: string | null, parts: FreezeParts): Promise<Freeze> {
  const state = path === null ? null : await load(path, parts.log);
  return new FileFreeze({ ...parts, path }, state);
}

class FileFreeze implements Freeze {
  readonly name = 'freeze';
  readonly #parts: FreezeParts & { readonly path: string | null };
  #state: Frozen | null = null;
  #refusal: RegistryError | undefined;
  /** One act at a time: the file is what the last one said. */
  #acting: Promise<unknown> = Promise.resolve();

  constructor(parts: FreezeParts & { readonly path: string | null }, state: Frozen | null) {
    this.#parts = parts;
    this.#become(state);
  }

  get state(): Frozen | null {
    return this.#state;
  }

  refusal(): RegistryError | undefined {
    return this.#refusal;
  }

  freeze(reason: string): Promise<boolean> {
    return this.#inTurn(() => this.#freeze(reason));
  }

  thaw(reason: string): Promise<boolean> {
    return this.#inTurn(() => this.#thaw(reason));
  }

  async #freeze(reason: string): Promise<boolean> {
    if (this.#state?.isKept === true) return false;
    const { path, now, log } = this.#parts;
    const since = formatTime(now());
    this.#become({ reason, since, isKept: path === null });
    if (path !== null)
      await keeping(path, 'kept: writes are refused until this process ends', () =>
        replaceFile(path, `${canonicalText({ reason, since })}\n`),
      );
    this.#become({ reason, since, isKept: true });
    log.warn('writes are frozen by an operator', { reason, since });
    return true;
  }

  async #thaw(reason: string): Promise<boolean> {
    if (this.#state === null) return false;
    const { path, log } = this.#parts;
    if (path !== null) await keeping(path, 'removed: it still stands', () => removeFile(path));
    this.#become(null);
    log.warn('writes are thawed by an operator', { reason });
    return true;
  }

  #become(state: Frozen | null): void {
    this.#state = state;
    this.#refusal = state === null ? undefined : refusalOf(state);
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const acted = this.#acting.then(act);
    this.#acting = acted.catch(() => undefined);
    return acted;
  }
}

function refusalOf({ reason, since }: Frozen): RegistryError {
  return new RegistryError(
    'frozen',
    `expected a registry that takes writes, got one that its operator has frozen${since === null ? '' : ` since ${since}`}: ${excerpt(reason)}`,
    { details: { reason, since } },
  );
}

async function load(path: string, log: Log): Promise<Frozen | null> {
  try {
    await removeUnfinished(path);
    const text = await readBounded(path);
    return text === undefined ? null : decodeFreeze(text);
  } catch (cause) {
    log.error('the freeze file cannot be read: writes stay frozen until an operator thaws them', {
      path,
      cause,
    });
    const reason = `the freeze file ${basename(path)} cannot be read, and an operator must decide`;
    return { reason, since: null, isKept: false };
  }
}

function decodeFreeze(bytes: Uint8Array): Frozen {
  const check = new Check('invalid_request');
  const text = { expected: 'text', test: () => true };
  const value = check.members(parseCanonical(bytes.subarray(0, -1)), '', ['reason', 'since']);
  if (bytes.at(-1) !== 0x0a) check.fail('', 'a line', 'a part of one');
  return {
    reason: check.text(value.reason, '/reason', text),
    since: check.time(value.since, '/since'),
    isKept: true,
  };
}

async function readBounded(path: string): Promise<Uint8Array | undefined> {
  try {
    // Not blocking: a named pipe is one that says nothing, and not to be waited for.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(MAX_FILE_BYTES),
      0,
      MAX_FILE_BYTES,
      0,
    );
    return buffer.subarray(0, bytesRead);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw cause;
  }
}

/** What a crash left beside the file while it was replaced. */
async function removeUnfinished(path: string): Promise<void> {
  const directory = dirname(path);
  const isUnfinished = (name: string) =>
    name.startsWith(`${basename(path)}.`) && /\.[0-9a-f]{12}\.tmp$/.test(name);
  const names = await readdir(directory).catch(() => []);
  for (const name of names)
    if (isUnfinished(name)) await rm(join(directory, name), { force: true });
}

async function removeFile(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncDirectory(dirname(path));
}

async function keeping(path: string, expected: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (cause) {
    const code = codeOf(cause);
    throw new RegistryError(
      code === 'ENOSPC' ? 'read_only' : 'storage_failed',
      `expected the freeze in ${path} to be ${expected}, got ${code}`,
      { cause },
    );
  }
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'an error';
}
