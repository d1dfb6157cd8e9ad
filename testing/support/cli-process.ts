/** The program as a process of its own: what a shell sees of it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { CHILD_ENV, QUORATE } from './child.ts';

/** The machine is shared: that it is busy is to refuse a write only where that is the test. */
const PATIENT = { QUORATE_SHED_LOOP_AFTER: '10m', QUORATE_SHED_STORAGE_AFTER: '10m' };

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves with standard output so far once it matches; rejects when the program ends before. */
  said(pattern: RegExp): Promise<string>;
  /** The same of standard error. */
  remarked(pattern: RegExp): Promise<string>;
}

export interface CliOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** Runs to the end. */
export async function quorate(options: CliOptions, ...argv: readonly string[]): Promise<Ended> {
  return start(options, ...argv).ended;
}

export function start({ cwd, env, input }: CliOptions, ...argv: readonly string[]): Started {
  const { QUORATE_URL: _url, QUORATE_REGISTRY: _registry, ...inherited } = CHILD_ENV;
  const child = spawn(process.execPath, [QUORATE, ...argv], {
    cwd,
    env: {
      ...inherited,
      ...(argv[0] === 'serve' && PATIENT),
      NO_COLOR: '1',
      FORCE_COLOR: '0',
      ...env,
    },
    stdio: 'pipe',
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input ?? '');
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const ended = once(child, 'close').then(([code, signal]) => ({
    code,
    signal,
    stdout: stdout.text,
    stderr: stderr.text,
  }));
  const failed = ended.then((end): never => {
    throw new Error(`quorate ${argv.join(' ')} ended: ${JSON.stringify(end)}`);
  });
  failed.catch(() => {});
  return {
    child,
    ended,
    said: (pattern) => Promise.race([stdout.matching(pattern), failed]),
    remarked: (pattern) => Promise.race([stderr.matching(pattern), failed]),
  };
}

class Collected {
  text = '';
  readonly #waiting = new Set<() => void>();

  add(text: string): void {
    this.text += text;
    for (const look of this.#waiting) look();
  }

  matching(pattern: RegExp): Promise<string> {
    return new Promise((resolve) => {
      const look = () => {
        if (!pattern.test(this.text)) return;
        this.#waiting.delete(look);
        resolve(this.text);
      };
      this.#waiting.add(look);
      look();
    });
  }
}

function collect(stream: NodeJS.ReadableStream): Collected {
  const collected = new Collected();
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => collected.add(text));
  return collected;
}
