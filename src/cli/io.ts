/** The world as a command sees it: handed in, so that every command runs in a test as it does in a shell. */
import type { Client, ClientOptions } from '../client/client.ts';

export interface Output {
  /** Resolves when the text has left the program, so that a slow reader slows the writer. */
  write(text: string | Uint8Array): Promise<void>;
  readonly isTerminal: boolean;
  /** Characters in a line. */
  readonly columns: number;
}

/** Somebody who can be asked: there is one only when both ends of the conversation are a terminal. */
export interface Terminal {
  ask(question: string): Promise<string>;
  /** The answer is not shown while it is typed. */
  askSecret(question: string): Promise<string>;
}

export interface Io {
  /** Data, and nothing else. */
  readonly stdout: Output;
  readonly stderr: Output;
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly terminal: Terminal | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Aborted, with an `Interruption`, when the program is asked to end. */
  readonly interrupt: AbortSignal;
  /** Calls back at each SIGHUP, which from then on does not end the program. Default: none comes. */
  readonly onHangup?: (listener: () => void) => void;
  /** Default: a verifying client over HTTP. */
  readonly connect?: (options: ClientOptions) => Client;
  /** Default: the platform's. */
  readonly fetch?: typeof globalThis.fetch;
  /** Ends the process though something still runs; called after an interrupt, with everything written. */
  readonly leave?: (code: number) => void;
}

/** Not an error: somebody asked the program to end, with this exit code. */
export class Interruption {
  readonly exitCode: number;

  constructor(exitCode: number) {
    this.exitCode = exitCode;
  }
}
