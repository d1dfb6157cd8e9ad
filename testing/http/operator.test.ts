/** The operator's acts, asked without sockets: what there is, what is refused, and what is recorded of each. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROBLEM_MEDIA_TYPE } from '../../src/api/problems.ts';
import { RegistryError } from '../../src/core/error.ts';
import {
  createOperatorHandler,
  OPERATOR_ACTS,
  type OperatorActs,
} from '../../src/http/operator.ts';
import type { AuditEvent } from '../../src/telemetry/audit.ts';
import { SILENT_LOG } from '../support/registry.ts';

type Act = (typeof OPERATOR_ACTS)[number];

interface Called {
  readonly oldest?: number;
  readonly act: Act;
  readonly reason: string;
}

interface Given {
  /** Thrown by every act. */
  readonly failure?: unknown;
  /** Before an event counts as kept. */
  readonly keep?: (event: AuditEvent) => Promise<void>;
}

function openHandler({ failure, keep }: Given = {}) {
  const called: Called[] = [];
  const events: AuditEvent[] = [];
  const act = (name: Act) => async (request: { reason: string; oldest?: number | undefined }) => {
    const { reason, oldest } = request;
    called.push({ act: name, reason, ...(oldest !== undefined && { oldest }) });
    if (failure !== undefined) throw failure;
    return { body: { done: name }, version: 7 };
  };
  const acts: OperatorActs = {
    status: async () => ({ ready: true }),
    freeze: act('freeze'),
    thaw: act('thaw'),
    reload: act('reload'),
    snapshot: act('snapshot'),
    compact: act('compact'),
    collect: act('collect'),
    prune: act('prune'),
  };
  const audit = {
    record: async (event: AuditEvent) => {
      await keep?.(event);
      events.push(event);
    },
  };
  const handler = createOperatorHandler({ acts, audit, log: SILENT_LOG, newCorrId: () => 'corr' });
  const send = (path: string, init: RequestInit = {}) =>
    handler(new Request(`http://localhost${path}`, init));
  const post = (
    path: string,
    body: BodyInit = '{}',
    headers: Record<string, string> = { 'content-type': 'application/json' },
  ) => send(path, { method: 'POST', body, headers });
  return { called, events, send, post };
}

const BARE = { token: null, signer: null, proposal: null };

test('each act is done once, answered and recorded with who, why and at which version', async () => {
  for (const act of OPERATOR_ACTS) {
    const { post, called, events } = openHandler();
    const response = await post(`/operator/${act}`, '{"reason": "because of 7"}', {
      'content-type': 'application/json',
      'x-operator': 'alice@ops-1',
      'x-corr-id': 'ticket-7',
    });
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), { done: act });
    assert.equal(response.headers.get('x-corr-id'), 'ticket-7');
    assert.equal(response.headers.get('cache-control'), 'no-store');
    assert.equal(response.headers.get('access-control-allow-origin'), null);
    assert.deepEqual(called, [{ act, reason: 'because of 7' }]);
    assert.deepEqual(events, [
      {
        ...BARE,
        act,
        decision: 'accepted',
        code: null,
        reason: 'because of 7',
        client: 'operator:alice@ops-1',
        version: 7,
        corrId: 'ticket-7',
      },
    ]);
  }
});

test('an act is recorded before it is answered', async () => {
  const kept = Promise.withResolvers<void>();
  const { post, called, events } = openHandler({ keep: () => kept.promise });
  let isAnswered = false;
  const answered = post('/operator/compact').then(() => {
    isAnswered = true;
  });
  while (called.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([isAnswered, events.length], [false, 0]);
  kept.resolve();
  await answered;
  assert.equal(events.length, 1);
});

test('an act that fails is recorded as refused, and its operator is told why', async () => {
  const failure = new RegistryError('storage_damaged', 'expected version 7, got other bytes', {
    details: { version: 7 },
  });
  const { post, events } = openHandler({ failure });
  const response = await post('/operator/snapshot');
  assert.equal(response.status, 500);
  assert.equal(response.headers.get('content-type'), PROBLEM_MEDIA_TYPE);
  assert.deepEqual(await response.json(), {
    type: 'urn:quorate:problem:storage_damaged',
    title: 'The store is damaged',
    status: 500,
    detail: 'expected version 7, got other bytes',
    code: 'storage_damaged',
    corr_id: 'corr',
    details: { version: 7 },
  });
  assert.deepEqual(
    events.map(({ act, decision, code, version }) => [act, decision, code, version]),
    [['snapshot', 'refused', 'storage_damaged', null]],
  );
});

test('what is no error of ours is not told, and is recorded', async () => {
  const { post, events } = openHandler({ failure: new Error('secret path') });
  const response = await post('/operator/compact');
  assert.equal(response.status, 500);
  assert.doesNotMatch(await response.text(), /secret/);
  assert.equal(events[0]?.code, 'internal');
});

test('a refusal that passes says when to try again', async () => {
  const { post } = openHandler({ failure: new RegistryError('overloaded', 'one at a time') });
  const response = await post('/operator/snapshot');
  assert.deepEqual([response.status, response.headers.get('retry-after')], [429, '1']);
});

const LONG = 'x'.repeat(1025);
const REFUSED: readonly (readonly [what: string, body: BodyInit, code: string])[] = [
  ['no json', 'reason', 'malformed'],
  ['nothing', '', 'malformed'],
  ['no utf-8', Uint8Array.of(0x22, 0xff, 0x22), 'malformed'],
  ['half a character', '{"reason":"x\\ud800"}', 'malformed'],
  ['half a character in a name', '{"reason":"x","\\udfff":1}', 'malformed'],
  ['no object', '["reason"]', 'invalid_request'],
  ['null', 'null', 'invalid_request'],
  ['no reason', '{}', 'invalid_request'],
  ['an empty reason', '{"reason":""}', 'invalid_request'],
  ['a blank reason', '{"reason":" \u3000 "}', 'invalid_request'],
  ['a reason that is no text', '{"reason":7}', 'invalid_request'],
  ['a reason that is too long', `{"reason":"${LONG}"}`, 'invalid_request'],
  ['a control character', '{"reason":"a\\u0007b"}', 'invalid_request'],
  ['a line break', '{"reason":"a\\nb"}', 'invalid_request'],
  ['a bidi character', '{"reason":"a\\u202eb"}', 'invalid_request'],
  ['a zero-width character', '{"reason":"a\\u200bb"}', 'invalid_request'],
  ['another member', '{"reason":"x","force":true}', 'invalid_request'],
  ['another member alone', '{"force":true}', 'invalid_request'],
  ['a forbidden member', '{"__proto__":{"reason":"x"}}', 'invalid_request'],
  ['deep nesting', `{"reason":${'['.repeat(40)}${']'.repeat(40)}}`, 'too_deep'],
  ['a byte too many', JSON.stringify({ reason: 'x'.repeat(16_384 - 12) }), 'too_large'],
];

for (const act of ['freeze', 'thaw'])
  test(`a ${act} without a proper reason is refused, recorded and not done`, async () => {
    for (const [what, body, code] of REFUSED) {
      const { post, called, events } = openHandler();
      const response = await post(`/operator/${act}`, body);
      assert.equal((await response.json()).code, code, what);
      assert.deepEqual(called, [], what);
      assert.deepEqual(
        events.map((event) => [event.act, event.decision, event.code, event.reason]),
        [[act, 'refused', code, null]],
        what,
      );
    }
  });

test('a reason may have 1 to 1024 characters, counted as a person counts them', async () => {
  for (const reason of ['x', '🧊'.repeat(1024), 'ein Grund: größer']) {
    const { post, called } = openHandler();
    const response = await post('/operator/freeze', JSON.stringify({ reason }));
    assert.equal(response.status, 200);
    assert.equal(called[0]?.reason, reason);
  }
});

test('a body of 16 KiB is read, and one byte more is not', async () => {
  const bodyOf = (bytes: number) => `{"reason":"x"${' '.repeat(bytes - 14)}}`;
  const { post } = openHandler();
  assert.equal((await post('/operator/freeze', bodyOf(16_384))).status, 200);
  assert.equal((await post('/operator/freeze', bodyOf(16_385))).status, 413);
});

test('the other acts need no reason, but one that is given is a proper one', async () => {
  for (const act of ['reload', 'snapshot', 'compact', 'collect', 'prune']) {
    const { post, called, events } = openHandler();
    assert.equal((await post(`/operator/${act}`)).status, 200);
    assert.deepEqual([called[0]?.reason, events[0]?.reason], ['', null]);
    for (const body of ['{"reason":""}', '{"force":true}', '[]', ''])
      assert.ok([400].includes((await post(`/operator/${act}`, body)).status), body);
    assert.equal(called.length, 1);
    assert.equal(events.length, 5);
  }
});

test('a pruning may name the lowest version to keep, and no other act may', async () => {
  const { post, called } = openHandler();
  assert.equal((await post('/operator/prune', '{"oldest":7,"reason":"x"}')).status, 200);
  assert.deepEqual(called, [{ act: 'prune', reason: 'x', oldest: 7 }]);
  for (const body of ['{"oldest":-1}', '{"oldest":1.5}', '{"oldest":"7"}', '{"oldest":null}'])
    assert.equal((await post('/operator/prune', body)).status, 400, body);
  assert.equal((await post('/operator/compact', '{"oldest":7}')).status, 400);
  assert.equal((await post('/operator/freeze', '{"oldest":7,"reason":"x"}')).status, 400);
  assert.equal(called.length, 1);
});

test('what is not json, or is coded, is refused by its headers', async () => {
  const { post, called, events } = openHandler();
  const of = async (headers: Record<string, string>) =>
    (await (await post('/operator/thaw', '{"reason":"x"}', headers)).json()).code;
  assert.equal(await of({ 'content-type': 'text/plain' }), 'unsupported_media_type');
  assert.equal(
    await of({ 'content-type': 'application/x-www-form-urlencoded' }),
    'unsupported_media_type',
  );
  assert.equal(
    await of({ 'content-type': 'application/json', 'content-encoding': 'gzip' }),
    'unsupported_encoding',
  );
  assert.deepEqual(called, []);
  assert.equal(events.length, 3);
});

test('who acts is a claim of 64 plain characters, and nothing else is recorded as one', async () => {
  const json = { 'content-type': 'application/json' };
  for (const name of ['a', 'x'.repeat(64), 'Alice.B_c@host-1']) {
    const { post, events } = openHandler();
    await post('/operator/compact', '{}', { ...json, 'x-operator': name });
    assert.equal(events[0]?.client, `operator:${name}`);
  }
  for (const name of ['', 'x'.repeat(65), 'a b', 'a:b', 'a/b', 'é', '$(id)']) {
    const { post, called, events } = openHandler();
    const response = await post('/operator/compact', '{}', { ...json, 'x-operator': name });
    assert.equal(response.status, 400, name);
    assert.deepEqual(
      [called.length, events[0]?.client, events[0]?.decision],
      [0, 'operator', 'refused'],
    );
  }
});

test('a query is refused: it would be thought to say something', async () => {
  const { post, called, events } = openHandler();
  assert.equal((await post('/operator/freeze?reason=x', '{"reason":"y"}')).status, 400);
  assert.deepEqual([called.length, events.length], [0, 1]);
});

test('there is the status, and there are seven acts, and nothing else', async () => {
  assert.deepEqual(OPERATOR_ACTS, [
    'freeze',
    'thaw',
    'reload',
    'snapshot',
    'compact',
    'collect',
    'prune',
  ]);
  const { send, post, called, events } = openHandler();
  const status = await send('/operator/status');
  assert.deepEqual([status.status, await status.json()], [200, { ready: true }]);
  for (const path of [
    '/',
    '/operator',
    '/operator/',
    '/operator/status/',
    '/operator/freeze/',
    '/operator//freeze',
    '/operator/FREEZE',
    '/operator/%66reeze',
    '/operator/__proto__',
    '/operator/append',
    '/operator/commit',
    '/operator/governance',
    '/registry/head',
    '/registry/proposals',
    '/registry/commit/x',
    '/registry/supersede',
    '/metrics',
    '/freeze',
  ])
    for (const response of [await send(path), await post(path, '{"reason":"x"}')]) {
      assert.equal(response.status, 404, path);
      assert.equal((await response.json()).code, 'not_found');
    }
  assert.deepEqual([called, events], [[], []]);
});

test('an act is a post and the status is a get', async () => {
  const { send, called, events } = openHandler();
  for (const act of OPERATOR_ACTS)
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']) {
      const response = await send(`/operator/${act}`, { method });
      assert.deepEqual([response.status, response.headers.get('allow')], [405, 'POST'], act);
    }
  const posted = await send('/operator/status', { method: 'POST' });
  assert.deepEqual([posted.status, posted.headers.get('allow')], [405, 'GET']);
  assert.deepEqual([called, events], [[], []]);
});
