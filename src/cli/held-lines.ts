/** Lines that wait for another to be the first: of standard output, where a script reads the URL. */
import type { LineOutput } from '../server/audit-log/stdout-sink.ts';

export class HeldLines implements LineOutput {
  readonly #output: LineOutput;
  #held: string[] | undefined = [];

  constructor(output: LineOutput) {
    this.#output = output;
  }

  write(line: string): void {
    if (this.#held === undefined) this.#output.write(line);
    else this.#held.push(line);
  }

  /** Writes what was held; from now on nothing is. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const line of held) this.#output.write(line);
  }
}
