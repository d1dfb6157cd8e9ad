/** Assertions on refusals: a test names the code it expects, never a message alone. */
import assert from 'node:assert/strict';
import { type ErrorCode, RegistryError } from '../../src/core/error.ts';

function isRefusal(code: ErrorCode, message: RegExp | undefined) {
  return (error: unknown): true => {
    assert.ok(error instanceof RegistryError, `expected ${code}, got ${String(error)}`);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, /^expected /);
    if (message !== undefined) assert.match(error.message, message);
    return true;
  };
}

export function refuses(code: ErrorCode, act: () => unknown, message?: RegExp): void {
  assert.throws(act, isRefusal(code, message));
}

export async function refusesLater(
  code: ErrorCode,
  act: Promise<unknown>,
  message?: RegExp,
): Promise<void> {
  await assert.rejects(act, isRefusal(code, message));
}

/** The code of the refusal, or `undefined` when there was none. Anything but a refusal is rethrown. */
export function codeOf(act: () => unknown): ErrorCode | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (error instanceof RegistryError) return error.code;
    throw error;
  }
}
