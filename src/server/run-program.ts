/**
 * Runs a program that an operator configured, without a shell, and ends it and its children in time.
 * What it prints is bounded; its arguments are never told, and its complaints only without what could
 * be a secret.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { escapeText, RegistryError } from '../core/error.ts';

const MAX_OUTPUT_BYTES = 16 * 1024;
const MAX_COMPLAINT = 200;

interface ProgramRun {
  /** Given on standard input, which then ends. */
  readonly input?: Uint8Array;
  readonly timeoutMs: number;
}

/** Its standard output; throws `not_ready` for any end but status 0 within the time. */
export async function runProgram(
  [program, ...parameters]: readonly [string, ...string[]],
  { input = new Uint8Array(), timeoutMs }: ProgramRun,
): Promise<string> {
  // A process group of its own, so that what it started ends with it.
  const child = spawn(program, parameters, { stdio: 'pipe', detached: true });
  const ended = Promise.withResolvers<string>();
  const refuse = (got: string) =>
    ended.reject(
      new RegistryError(
        'not_ready',
        `expected \`${escapeText(program)} ... ${parameters.at(-1) ?? ''}\` to answer, got ${got}`,
      ),
    );
  const tooMuch = () => refuse(`more than ${MAX_OUTPUT_BYTES} bytes`);
  const output = collected(child.stdout, tooMuch);
  const complaint = collected(child.stderr, tooMuch);
  child.on('error', (error) => refuse('code' in error ? `${error.code}` : 'an error'));
  child.on('close', (code, signal) => {
    if (code === 0) ended.resolve(output());
    else refuse(`${signal ?? `exit status ${code}`}${redacted(complaint())}`);
  });
  const timer = setTimeout(() => refuse(`nothing within ${timeoutMs} ms`), timeoutMs);
  // A program may answer without reading: what it did not want is not its failure.
  child.stdin?.on('error', () => undefined).end(input);
  try {
    return await ended.promise;
  } catch (error) {
    end(child);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Also its descendants, which may hold its pipes after it is gone. */
function end({ pid, stdin, stdout, stderr }: ChildProcess): void {
  for (const stream of [stdin, stdout, stderr]) stream?.destroy();
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody is left in its group.
  }
}

function collected(stream: Readable | null, onTooMuch: () => void): () => string {
  let text = '';
  stream?.setEncoding('latin1').on('data', (chunk: string) => {
    if (text.length + chunk.length > MAX_OUTPUT_BYTES) onTooMuch();
    else text += chunk;
  });
  return () => text;
}

/** What a program complained of, without words that could be a key, a token or a passphrase. */
function redacted(text: string): string {
  const words = text
    .trim()
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/[\w+/=-]{20,}/g, '...')
    .replaceAll(/(pin|pass\w*|secret|token|key)\s*[=:]\s*\S+/gi, '$1=...');
  return words === '' ? '' : `: ${escapeText(words.slice(0, MAX_COMPLAINT))}`;
}
