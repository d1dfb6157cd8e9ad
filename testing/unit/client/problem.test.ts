/** Refusals of a server, told apart from what its reader finds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BODY_ERRORS, COMMON_ERRORS, WRITE_ERRORS } from '../../../src/api/route.ts';
import { operations } from '../../../src/api/routes.ts';
import { readProblem } from '../../../src/client/problem.ts';
import { encodeUtf8 } from '../../../src/core/bytes.ts';
import type { ErrorCode, RegistryError } from '../../../src/core/error.ts';
import { errorOf, type Lie, openClient, openStage } from '../../support/client-server.ts';

const FINDINGS = [
  'invalid_entry',
  'invalid_proof',
  'invalid_checkpoint',
  'unwitnessed',
  'rollback',
  'fork',
  'stale',
] as const;

function told(request: string, code: ErrorCode, status = 409): RegistryError {
  const bytes = encodeUtf8(JSON.stringify({ code, detail: 'so it is', details: { version: 3 } }));
  const contentType = 'application/problem+json';
  return readProblem({ request, status, contentType, bytes, retryAfterMs: undefined });
}

test('what a route may answer comes back as its own code', () => {
  let codes = 0;
  for (const [, { method, path, errors }] of operations()) {
    const writes = method === 'get' ? [] : [...WRITE_ERRORS, ...BODY_ERRORS];
    for (const code of new Set([...errors, ...COMMON_ERRORS, ...writes])) {
      assert.equal(told(`${method.toUpperCase()} ${path}`, code).code, code);
      codes++;
    }
  }
  assert.ok(codes > 300, `${codes}`);
});

test('what only a verifier finds is no answer, and says what was told', () => {
  for (const code of FINDINGS)
    for (const request of ['GET /registry/head', 'POST /registry/proposals']) {
      const error = told(request, code);
      assert.equal(error.code, 'unexpected_answer');
      assert.deepEqual(error.details, { version: 3, status: 409, told: code });
      assert.match(
        error.message,
        new RegExp(`got ${code}, which is no server's to say: so it is$`),
      );
    }
  assert.equal(told('GET /checkpoint', 'invalid_signature').code, 'unexpected_answer');
});

test('a server that says fork has shown none', async () => {
  const stage = await openStage();
  await stage.grow(1);
  let forks = 0;
  const { client } = openClient(stage, { onFork: () => void forks++ });
  await client.head();
  const lie: Lie = (path, honest) =>
    path === '/checkpoint'
      ? Response.json(
          { code: 'fork', detail: 'two histories', status: 409 },
          { status: 409, headers: { 'content-type': 'application/problem+json' } },
        )
      : honest();
  stage.lie(lie);
  const error = await errorOf(client.head());
  assert.ok(error instanceof Error && 'code' in error, String(error));
  assert.deepEqual([error.code, forks, client.trusted()?.version], ['unexpected_answer', 0, 1]);
});
