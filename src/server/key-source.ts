/**
 * Where the keys are that a service signs with: a file, or a program that signs (an HSM, an agent).
 * Reading of the setting only; `signing-key` opens what it names.
 */

export type KeySource =
  | { readonly file: string }
  /** The program and its arguments; `public-key` or `sign` is added as the last one. */
  | { readonly program: readonly [string, ...string[]] };

const PROGRAM = 'exec:';

/** `log.pem,exec:sign-with --slot 2`; the empty text names none. `undefined` for anything else. */
export function parseKeySources(text: string): readonly KeySource[] | undefined {
  if (text === '') return [];
  const sources = text.split(',').map((part) => parseKeySource(part.trim()));
  return sources.every((source) => source !== undefined) ? sources : undefined;
}

function parseKeySource(text: string): KeySource | undefined {
  if (text === '' || text.includes('\0')) return undefined;
  if (!text.startsWith(PROGRAM)) return { file: text };
  const [program, ...parameters] = text
    .slice(PROGRAM.length)
    .split(/\s+/)
    .filter((word) => word !== '');
  return program === undefined ? undefined : { program: [program, ...parameters] };
}
