/**
 * The log of a server: JSON lines on pino, written before the call returns, because the last line
 * before a deliberate crash is the one that matters. Only primitives and errors are written: an object
 * passed by mistake may hold a secret, so it is named by its type and never serialised. A line is ASCII
 * and bounded, so that a terminal and every program that splits lines read one record as one. A line
 * that cannot be written is counted and dropped: a full disk, or a collector that does not read, stops nothing.
 */
import { pino } from 'pino';
import type { Log, LogFields } from '../telemetry/log.ts';
import { createLineOutput } from './audit-log/stdout-sink.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LogOptions {
  readonly level: LogLevel;
  /** Takes one line at a time, or throws and has taken nothing of it; default standard error. */
  readonly destination?: { write(line: string): void };
}

const STANDARD_ERROR = 2;
// An error that causes itself must not hang the logger.
const MAX_CAUSES = 8;
// A checkpoint with all its cosignatures, kept as evidence, fits.
const MAX_TEXT = 64 * 1024;

type Loggable = string | number | boolean | null | { readonly [member: string]: Loggable };

/** A log whose level a reload changes. */
export interface LevelledLog extends Log {
  setLevel(level: LogLevel): void;
}

export function createLog({ level, destination }: LogOptions): LevelledLog {
  const sink = destination ?? createLineOutput(STANDARD_ERROR);
  let lost = 0;
  const write = (line: string): void => {
    try {
      sink.write(escapeLine(line));
    } catch {
      lost++;
      return;
    }
    if (lost === 0) return;
    const count = lost;
    lost = 0;
    logger.error({ count }, 'lines of this log could not be written and are lost');
  };
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  );
  // Fields of a line that is not written cost nothing.
  const at =
    (name: keyof Log) =>
    (message: string, fields?: LogFields): void => {
      if (logger.isLevelEnabled(name)) logger[name](loggableFields(fields), message);
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    setLevel: (next) => {
      logger.level = next;
    },
  };
}

/** The same JSON: line separators, terminal controls and text that reads backwards stand only in strings. */
function escapeLine(line: string): string {
  return line.replace(
    /[^\x20-\x7e\n]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

// Members that pino writes itself: a field of that name would be a second one in the same line.
const RESERVED = new Set(['level', 'time', 'msg']);

function loggableFields(fields: LogFields = {}): Record<string, Loggable> {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    entries.map(([name, value]) => [RESERVED.has(name) ? `${name}_` : name, loggable(value)]),
  );
}

function loggable(value: unknown): Loggable {
  if (value === null || typeof value === 'boolean') return value;
  if (typeof value === 'string') return bounded(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Error) return loggableError(value, MAX_CAUSES);
  return Array.isArray(value) ? '[array]' : `[${typeof value}]`;
}

function loggableError(error: Error, causesLeft: number): Loggable {
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  const below = (member: unknown, name: string, left = causesLeft - 1) =>
    member instanceof Error && causesLeft > 0 ? { [name]: loggableError(member, left) } : {};
  // What failed first, and the clean-up after it.
  const both = error instanceof SuppressedError && {
    ...below(error.suppressed, 'suppressed'),
    ...below(error.error, 'error', 0),
  };
  // What a parser of ours or of node says quotes the text that it could not parse.
  const message = error instanceof SyntaxError ? '[quotes its input]' : bounded(error.message);
  return { name: error.name, ...code, message, ...below(error.cause, 'cause'), ...both };
}

function bounded(text: string): string {
  return text.length > MAX_TEXT
    ? `${text.slice(0, MAX_TEXT)}... (${text.length} characters)`
    : text;
}
