/** Where settings are given, and the reading of the files among these places. What they mean is `config.ts`. */
import { constants, type FileHandle, open } from 'node:fs/promises';
import { RegistryError } from '../core/error.ts';
import { SETTINGS } from './config-schema.ts';

export interface ConfigSources {
  /** Values by setting key (`max_streams`), as written after a flag. */
  readonly flags?: Readonly<Record<string, string | undefined>>;
  /** `process.env`; an empty value is no value. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What the files hold that variables such as `QUORATE_TOKEN_KEY_FILE` name, by variable. */
  readonly envFiles?: Readonly<Record<string, ConfigFile | UnreadFile>>;
  /** TOML; `name` is how mistakes refer to it. */
  readonly file?: ConfigFile | UnreadFile | undefined;
  /** Whether what is written at this path stays in memory. Default: it is on tmpfs. */
  readonly isInMemory?: (path: string) => boolean;
}

export interface ConfigFile {
  readonly name: string;
  readonly text: string;
}

/** A file that was named and could not be read: a mistake among others. */
export interface UnreadFile {
  readonly name: string;
  /** `expected ..., got ...` */
  readonly problem: string;
}

export interface SourcePaths extends Pick<ConfigSources, 'flags' | 'env'> {
  /** Of the TOML file. */
  readonly path: string | undefined;
  /**
   * Sources that were read before, for a reload: a pipe, which would be empty now, is a mistake and not a
   * configuration of defaults.
   */
  readonly isAgain?: boolean;
}

// A configuration is a few KiB; whatever is larger is another file, or a device.
const MAX_FILE_BYTES = 1024 * 1024;
const MAX_VALUE_BYTES = 64 * 1024;

/** Reads every file that the paths and the environment name; what cannot be read is told by `loadConfig`. */
export async function readConfigSources(paths: SourcePaths): Promise<ConfigSources> {
  const { flags = {}, env = {}, path, isAgain = false } = paths;
  const named = SETTINGS.flatMap(({ envFile }) => {
    const name = env[envFile];
    return name === undefined || name === '' ? [] : [{ envFile, name }];
  });
  const [file, ...values] = await Promise.all([
    path === undefined ? undefined : readText(path, { max: MAX_FILE_BYTES, isRegular: isAgain }),
    ...named.map(({ name }) => readText(name, { max: MAX_VALUE_BYTES, isRegular: true })),
  ]);
  const envFiles = named.flatMap(({ envFile }, i) => {
    const value = values[i];
    return value === undefined ? [] : [[envFile, value] as const];
  });
  return { flags, env, file, envFiles: Object.fromEntries(envFiles) };
}

/** Throws `invalid_request` when the file can not be read. */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  const file = await readText(path, { max: MAX_FILE_BYTES, isRegular: false });
  if ('text' in file) return file;
  throw new RegistryError('invalid_request', `${file.name}: ${file.problem}`);
}

interface Expected {
  readonly max: number;
  readonly isRegular: boolean;
}

async function readText(name: string, expected: Expected): Promise<ConfigFile | UnreadFile> {
  try {
    // Without waiting for somebody to write into a pipe, where there may be none.
    const { O_RDONLY, O_NONBLOCK } = constants;
    await using file = await open(name, expected.isRegular ? O_RDONLY | O_NONBLOCK : O_RDONLY);
    if (expected.isRegular && !(await file.stat()).isFile())
      return { name, problem: 'expected a regular file, got another kind' };
    const bytes = await readAtMost(file, expected.max);
    if (bytes === undefined)
      return { name, problem: `expected at most ${expected.max} bytes, got more` };
    return { name, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'an error';
    const got = code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'bytes that are not utf-8' : code;
    return { name, problem: `expected a readable file, got ${got}` };
  }
}

/** `undefined`: there is more. */
async function readAtMost(file: FileHandle, max: number): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(max + 1);
  let length = 0;
  while (length <= max) {
    const { bytesRead } = await file.read(bytes, length, bytes.length - length);
    if (bytesRead === 0) return bytes.subarray(0, length);
    length += bytesRead;
  }
  return undefined;
}
