/** What every command is given: how to print, how to reach the registry, and what the user chose. */
import type { Client } from '../client/client.ts';
import type { Globals } from './globals.ts';
import type { Io } from './io.ts';
import type { Progress } from './progress.ts';
import type { Style } from './style.ts';

export interface Context {
  readonly io: Io;
  /** Throws a usage error for an environment variable that means nothing. */
  readonly globals: Globals;
  /** For standard output, and for standard error. */
  readonly style: Style;
  readonly errorStyle: Style;
  /** A line, or several, of data. */
  print(text: string): Promise<void>;
  /** One line of canonical JSON; in ASCII where a terminal would act on what is in it. */
  printJson(value: unknown): Promise<void>;
  /** The same of what is canonical text already. */
  printJsonText(json: string): Promise<void>;
  /** A remark on standard error; nothing with `--quiet`. */
  say(text: string): Promise<void>;
  progress(label: string): Progress;
  /** A verifying client of the registry the user named, with its trusted state; one for each run. */
  client(): Promise<Client>;
  /** `true` when somebody agreed; throws when there is nobody to ask. */
  confirm(question: string): Promise<boolean>;
  /** The command ends by itself when it is interrupted. */
  endOnInterrupt(): void;
}
