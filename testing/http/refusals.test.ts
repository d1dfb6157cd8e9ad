import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROBLEMS } from '../../src/api/problems.ts';
import { ERROR_CODES, RegistryError } from '../../src/core/error.ts';
import { problemOf } from '../../src/http/problem.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { makeFaulty } from '../support/faulty-store.ts';
import { codeOf, openTestApp } from '../support/http-app.ts';
import { put } from '../support/registry.ts';
import { descriptorsPayload } from '../support/signers.ts';

const CANARY = 'canary-c4f1';

test('every code becomes its problem: status, title, type, time to retry', () => {
  for (const code of ERROR_CODES) {
    const error = new RegistryError(code, 'expected a, got b', { details: { why: 'c' } });
    const { answer } = problemOf(error, 'corr');
    const body = JSON.parse(new TextDecoder().decode(answer.body as Uint8Array));
    const { status, title, retryAfterSeconds } = PROBLEMS[code];
    assert.deepEqual(
      [answer.status, body.status, body.title, body.code, body.corr_id],
      [status, status, title, code, 'corr'],
    );
    assert.equal(answer.headers['Retry-After'], retryAfterSeconds?.toString());
    assert.equal(answer.headers['Cache-Control'], 'no-store');
    // What failed inside is told by its code alone.
    assert.equal(body.detail === 'expected a, got b', status !== 500);
    assert.deepEqual(body.details, status === 500 ? {} : { why: 'c' });
  }
});

test('a refusal is told also when a clean-up after it failed', () => {
  const error = new RegistryError('read_only', 'expected a, got b');
  const { code, answer } = problemOf(new SuppressedError(new Error(CANARY), error), 'corr');
  assert.deepEqual([code, answer.status], ['read_only', 503]);
  assert.equal(new TextDecoder().decode(answer.body as Uint8Array).includes(error.message), true);
});

test('anything else that was thrown is internal, and none of it is told', () => {
  for (const thrown of [new Error(CANARY), new TypeError(CANARY), CANARY, { CANARY }, null]) {
    const { code, answer } = problemOf(thrown, 'corr');
    const text = new TextDecoder().decode(answer.body as Uint8Array);
    assert.equal(code, 'internal');
    assert.equal(answer.status, 500);
    assert.doesNotMatch(text, new RegExp(CANARY));
  }
});

test('a failure inside is a 500 that says nothing, and one log line that says all', async () => {
  const { get, registry, lines, metric } = await openTestApp();
  const failure = new Error(`disk on fire at ${CANARY}`);
  registry.reader.entry = async () => {
    throw failure;
  };
  const response = await get('/registry/0', { 'x-corr-id': 'my-id' });
  const text = await response.text();
  assert.equal(response.status, 500);
  assert.doesNotMatch(text, new RegExp(CANARY));
  const errors = lines.filter(({ level }) => level === 'error');
  assert.equal(errors.length, 1);
  const { code, corr_id, cause, route } = errors[0]?.fields ?? {};
  assert.deepEqual(
    [code, corr_id, cause, route],
    ['internal', 'my-id', failure, '/registry/{version}'],
  );
  assert.equal(await metric('rejected_total{reason="internal"}'), 1);
});

test('a failure of what the app was made with is a 500 like any other', async () => {
  const { get, lines } = await openTestApp({
    deps: {
      clientAddress: () => {
        throw new Error(CANARY);
      },
    },
  });
  for (const path of ['/registry/stream', '/registry/99']) {
    const response = await get(path);
    const text = await response.text();
    assert.deepEqual([response.status, JSON.parse(text).code], [500, 'internal'], path);
    assert.doesNotMatch(text, new RegExp(CANARY));
  }
  assert.equal(lines.filter(({ level }) => level === 'error').length, 2);
});

test('a refusal is a metric and a log line with its code, and nothing of the request', async () => {
  const { post, lines, metric } = await openTestApp();
  const response = await post('/registry/proposals', `{"${CANARY}":1}`);
  const problem = await response.json();
  assert.equal(problem.code, 'invalid_payload');
  const refused = lines.filter(({ message }) => message === 'request refused');
  assert.deepEqual(refused, [
    {
      level: 'info',
      message: 'request refused',
      fields: {
        route: '/registry/proposals',
        method: 'POST',
        corr_id: problem.corr_id,
        seconds: 0,
        status: 400,
        code: 'invalid_payload',
        client: '127.0.0.1',
      },
    },
  ]);
  assert.equal(await metric('rejected_total{reason="invalid_payload"}'), 1);
});

test('metrics and logs know the template of a path, never the path', async () => {
  const { get, lines, metric } = await openTestApp();
  await get(`/registry/0/descriptors/service/${CANARY}`);
  await get(`/${CANARY}`);
  await get('/registry/0');
  assert.doesNotMatch(JSON.stringify(lines), new RegExp(CANARY));
  const count = (route: string, code: number) =>
    metric(`http_requests_total{route="${route}",method="GET",code="${code}"}`);
  assert.equal(await count('/registry/{version}/descriptors/{kind}/{id}', 404), 1);
  assert.equal(await count('unmatched', 404), 1);
  assert.equal(await count('/registry/{version}', 200), 1);
  assert.equal(await metric('inflight_requests'), 0);
});

test('a correlation id is echoed when it is well formed, else made', async () => {
  const { get } = await openTestApp();
  const sent = async (id: string) =>
    (await get('/version', { 'x-corr-id': id })).headers.get('x-corr-id');
  for (const id of ['a', 'A-1', 'x'.repeat(64)]) assert.equal(await sent(id), id);
  for (const id of ['', 'a b', 'a_b', 'x'.repeat(65), 'é', 'a,b'])
    assert.match((await sent(id)) ?? '', /^corr-\d+$/);
});

test('an unknown outcome is 503 and told to repeat; a full disk is 503 too, and certain', async () => {
  const faulty = makeFaulty(createMemoryStore());
  const { post, registryHash, registry, signers, lines } = await openTestApp({
    registry: { store: faulty.store },
  });
  const payload = descriptorsPayload(registryHash, [put('a', {})]);
  await registry.proposals.propose(payload.bytes);
  for (const signer of signers)
    await registry.proposals.approve(payload.payloadB3, signer.approve(payload));
  const commit = () => post(`/registry/commit/${payload.payloadB3}`, undefined, {});
  faulty.failNext('read_only');
  const full = await commit();
  assert.deepEqual([full.status, await codeOf(full)], [503, 'read_only']);
  faulty.failNext('lost');
  const unknown = await commit();
  assert.deepEqual([unknown.status, await codeOf(unknown)], [503, 'outcome_unknown']);
  assert.equal(faulty.injected(), 2);
  // A full disk is a state, which is logged when it begins; what nobody knows is a failure.
  const levels = lines.filter(({ fields }) => fields?.status === 503).map(({ level }) => level);
  assert.deepEqual(levels, ['info', 'error']);
});
