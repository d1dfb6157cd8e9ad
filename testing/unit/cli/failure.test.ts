import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommanderError } from 'commander';
import { EXIT, failureOf, renderFailure, Unverified, verified } from '../../../src/cli/failure.ts';
import { ERROR_CODES, type ErrorCode, RegistryError } from '../../../src/core/error.ts';

function exitCode(code: ErrorCode): number {
  return failureOf(new RegistryError(code, 'expected this, got that')).exitCode;
}

test('every error code has an exit code, and the documented ones are told apart', () => {
  for (const code of ERROR_CODES) assert.ok([1, 3, 4].includes(exitCode(code)), code);
  for (const code of [
    'rollback',
    'fork',
    'stale',
    'invalid_entry',
    'invalid_proof',
    'invalid_signature',
  ] as const)
    assert.equal(exitCode(code), EXIT.unverified, code);
  for (const code of ['unavailable', 'not_ready', 'draining', 'outcome_unknown'] as const)
    assert.equal(exitCode(code), EXIT.unavailable, code);
  for (const code of [
    'quorum_not_reached',
    'fence_broken',
    'not_found',
    'invalid_request',
  ] as const)
    assert.equal(exitCode(code), EXIT.failed, code);
});

test('a refusal found while verifying is a failed verification, an unreachable registry is not', async () => {
  const quorum = new RegistryError('quorum_not_reached', 'entry 3: expected 2, got 1');
  await assert.rejects(verified(Promise.reject(quorum)), (error) => {
    assert.ok(error instanceof Unverified);
    const { exitCode, code, message } = failureOf(error);
    assert.deepEqual(
      [exitCode, code, message],
      [EXIT.unverified, 'quorum_not_reached', quorum.message],
    );
    return true;
  });
  const unavailable = new RegistryError('unavailable', 'expected an answer, got none');
  await assert.rejects(verified(Promise.reject(unavailable)), unavailable);
});

test('a mistake in the arguments is 2, help and version are 0', () => {
  const usage = failureOf(
    new CommanderError(
      1,
      'commander.unknownOption',
      "error: unknown option '--x'\n(Did you mean --y?)",
    ),
  );
  assert.deepEqual(
    [usage.exitCode, usage.message],
    [EXIT.usage, "unknown option '--x' (Did you mean --y?)"],
  );
  assert.equal(failureOf(new CommanderError(0, 'commander.version', '1.0.0')).exitCode, EXIT.done);
});

test('a failure is one line that cannot act on a terminal, and a hint', () => {
  const hostile = new RegistryError('fork', 'expected a, got \u001b[2J\u202eb');
  assert.equal(
    renderFailure(failureOf(hostile)),
    'quorate: expected a, got \\u{1b}[2J\\u{202e}b\n  two histories were shown: keep both answers, and tell its operator and its signers\n',
  );
});

test('a defect is told as one, without its stack', () => {
  const { exitCode, code, hint } = failureOf(new TypeError('x is not a function'));
  assert.deepEqual([exitCode, code], [EXIT.failed, 'internal']);
  assert.match(hint ?? '', /QUORATE_DEBUG/);
  assert.equal(failureOf('thrown text').message, 'thrown text');
});
