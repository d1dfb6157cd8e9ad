/** Files that a person names: `-` is standard input or output, and a missing file is told by its name. */
import { readFile, writeFile } from 'node:fs/promises';
import { decodeUtf8 } from '../core/bytes.ts';
import { canonicalBytes, type Json } from '../core/canonical.ts';
import { excerpt, RegistryError } from '../core/error.ts';
import { assertJsonBounds, type JsonLimits } from '../core/json-scan.ts';
import { type DecodedPayload, decodePayload } from '../core/payload.ts';
import type { Io } from './io.ts';

// A declared set may be larger than any one payload.
const LIMITS: JsonLimits = { maxDepth: 40, maxTokens: 10_000_000 };

/** Throws `invalid_request` when it cannot be read, `malformed` when it is no UTF-8. */
export async function readInput(io: Pick<Io, 'stdin'>, path: string): Promise<string> {
  if (path === '-') return decodeUtf8(await readAll(io.stdin));
  try {
    return decodeUtf8(await readFile(path));
  } catch (cause) {
    if (cause instanceof RegistryError) throw cause;
    throw fileError(`a readable file at ${path}`, cause);
  }
}

/** `-` is standard output. */
export async function writeOutput(
  io: Pick<Io, 'stdout'>,
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  if (path === '-') return io.stdout.write(new TextDecoder().decode(bytes));
  try {
    await writeFile(path, bytes);
  } catch (cause) {
    throw fileError(`to write ${path}`, cause);
  }
}

export async function readJson(io: Pick<Io, 'stdin'>, path: string): Promise<Json> {
  return parseJson(await readInput(io, path), path);
}

/** Throws `malformed`, naming `place`. */
export function parseJson(text: string, place: string): Json {
  assertJsonBounds(new TextEncoder().encode(text), LIMITS);
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw new RegistryError(
      'malformed',
      `expected json in ${place}, got ${excerpt(text.slice(0, 40))}`,
      {
        cause,
      },
    );
  }
}

/** A payload file may have been formatted on its way; what is shown, hashed and signed is canonical. */
export async function readPayload(io: Pick<Io, 'stdin'>, path: string): Promise<DecodedPayload> {
  return decodePayload(canonicalBytes(await readJson(io, path)));
}

export function fileError(expected: string, cause: unknown): RegistryError {
  const got = cause instanceof Error && 'code' in cause ? cause.code : cause;
  return new RegistryError('invalid_request', `expected ${expected}, got ${got}`, { cause });
}

async function readAll(stdin: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stdin) chunks.push(chunk);
  return Buffer.concat(chunks);
}
