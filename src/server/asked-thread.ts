/** A thread that answers each message with one message, in any order. */
import { extname } from 'node:path';
import { type MessagePort, parentPort, type Transferable, Worker } from 'node:worker_threads';
import { RegistryError } from '../core/error.ts';

interface Asked<Q> {
  readonly id: number;
  readonly question: Q;
}

interface Answered<A> {
  readonly id: number;
  readonly answer: A;
}

export interface AskedThreadOptions {
  /** Of the thread's program, beside this file and without its ending. */
  readonly file: string;
  readonly name: string;
  /** For errors: `verifies signatures`. */
  readonly does: string;
}

export class AskedThread<Q, A> implements AsyncDisposable {
  readonly #options: AskedThreadOptions;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, PromiseWithResolvers<A>>();
  #asked = 0;
  #end: RegistryError | undefined;

  constructor(options: AskedThreadOptions) {
    this.#options = options;
    // In src this file ends in .ts, in dist in .js, and so does the thread's.
    const file = new URL(`./${options.file}${extname(import.meta.url)}`, import.meta.url);
    this.#worker = new Worker(file, { name: options.name });
    this.#worker.on('message', ({ id, answer }: Answered<A>) => {
      this.#waiting.get(id)?.resolve(answer);
      this.#waiting.delete(id);
    });
    this.#worker.on('error', (cause) => this.#ended(cause));
    this.#worker.on('exit', () => this.#ended('its end'));
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  /** Rejects with `internal` when the thread ends first: what it was asked stays unanswered. */
  ask(question: Q, transfer: readonly Transferable[] = []): Promise<A> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    const id = this.#asked++;
    const waiting = Promise.withResolvers<A>();
    this.#waiting.set(id, waiting);
    this.#worker.postMessage({ id, question } satisfies Asked<Q>, transfer);
    return waiting.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }

  #ended(cause: unknown): void {
    const got = cause instanceof Error ? cause.message : cause;
    this.#end ??= new RegistryError(
      'internal',
      `expected a thread that ${this.#options.does}, got ${got}`,
      { cause },
    );
    for (const { reject } of this.#waiting.values()) reject(this.#end);
    this.#waiting.clear();
  }
}

/** The other side: `answer` must not throw. */
export function answerQuestions<Q, A>(answer: (question: Q) => A): void {
  const port: MessagePort | null = parentPort;
  port?.on('message', ({ id, question }: Asked<Q>) => {
    port.postMessage({ id, answer: answer(question) } satisfies Answered<A>);
  });
}
