/** What a setting is, and the kinds of values that several have. */
import { z } from 'zod';
import { parseBytes, parseDuration, parseInteger } from '../config-values.ts';

export interface SettingInfo {
  /** As written in a file, the environment or a flag. */
  readonly initial: string;
  /** What a value looks like. */
  readonly expected: string;
  readonly meaning: string;
  /** A golden metric, or why there is none. */
  readonly metric: string;
  /** Whether a reload takes it up; a text says why it does not. */
  readonly reload: true | string;
  /** What of a value may be shown, where not all of it: it may hold a secret. */
  readonly shown?: (text: string) => string;
}

interface Setting<T> extends SettingInfo {
  /** `undefined`: not such a value. */
  readonly parse: (text: string) => T | undefined;
}

interface Range {
  readonly min: string;
  readonly max: string;
}

const registered = z.registry<SettingInfo>();

/** Of `reload`. */
export const APPLIES = true;

/** `undefined` when the schema is not that of a setting. */
export function infoOf(schema: z.ZodType): SettingInfo | undefined {
  return registered.get(schema);
}

export function setting<T>({ parse, ...info }: Setting<T>) {
  const text = z.string({ error: info.expected });
  const schema = text.transform((written, context) => {
    const value = parse(written);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: info.expected });
    return z.NEVER;
  });
  return schema.prefault(info.initial).register(registered, info);
}

export function choice<const T extends string>(values: readonly T[]) {
  return {
    expected: values.join(', ').replace(/, (?=[^,]*$)/, ' or '),
    parse: (text: string) => values.find((value) => value === text),
  };
}

export function pathOrNone() {
  return {
    expected: 'empty, or a path without NUL',
    parse: (text: string) => (text.includes('\0') ? undefined : text),
    initial: '',
  };
}

export function bytes(range: Range) {
  return quantity('a size', '64MiB', parseBytes, range);
}

export function duration(range: Range) {
  return quantity('a duration', '30s', parseDuration, range);
}

export function integer(range: Range) {
  return quantity('an integer', '', parseInteger, range);
}

function quantity(
  what: string,
  example: string,
  parse: (text: string) => number | undefined,
  { min, max }: Range,
) {
  const least = parse(min) ?? 0;
  const most = parse(max) ?? 0;
  return {
    expected: `${what} from ${min} to ${max}${example && ` such as ${example}`}`,
    parse: (text: string) => {
      const value = parse(text);
      return value !== undefined && value >= least && value <= most ? value : undefined;
    },
  };
}
