/** Spans of a real server, as a collector gets them. */
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { canonicalText } from '../../src/core/canonical.ts';
import { createLog } from '../../src/server/log.ts';
import { openTracer } from '../../src/server/tracing/open.ts';
import { start } from '../support/cli-process.ts';
import { openTestRegistry, put } from '../support/registry.ts';
import { beginOver, clientOf, SIGNERS, startTestServer } from '../support/server-start.ts';
import { descriptorsPayload } from '../support/signers.ts';
import { type CollectedSpan, startCollector } from '../support/trace-collector.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER = '00f067aa0ba902b7';

/** The span and all below it: `[name, [children]]`, by name. */
type Tree = readonly [name: string, children: readonly Tree[]];

function treeOf(span: CollectedSpan, spans: readonly CollectedSpan[]): Tree {
  const children = spans.filter(({ parentSpanId }) => parentSpanId === span.spanId);
  return [span.name, children.map((child) => treeOf(child, spans)).sort()];
}

test('a proposal, three approvals and a commit are five requests of one trace, each with its parts', async (t) => {
  const collector = await startCollector(t);
  const server = await startTestServer(t, { trace_endpoint: collector.endpoint });
  const registry = await beginOver(clientOf(server.url));
  const proposal = descriptorsPayload(registry, [put('canary-id', { canary: 'canary-spec' })], {
    createdAt: Date.now(),
    note: 'canary-note',
  });
  const post = async (path: string, body?: string): Promise<number> => {
    const response = await fetch(`${server.url}${path}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        traceparent: `00-${TRACE}-${CALLER}-01`,
        tracestate: 'vendor=canary-state',
        'x-corr-id': 'corr-1',
      },
      ...(body !== undefined && { body }),
    });
    await response.body?.cancel();
    return response.status;
  };
  const id = proposal.payloadB3;
  const statuses = [
    await post('/registry/proposals', new TextDecoder().decode(proposal.bytes)),
    await post(`/registry/commit/${id}`),
  ];
  for (const signer of SIGNERS)
    statuses.push(await post(`/registry/approvals/${id}`, canonicalText(signer.approve(proposal))));
  statuses.push(await post(`/registry/commit/${id}`));
  assert.deepEqual(statuses, [202, 409, 200, 200, 200, 201]);
  await server.stop();

  const spans = collector.spans().filter(({ traceId }) => traceId === TRACE);
  const roots = spans.filter(({ parentSpanId }) => parentSpanId === CALLER);
  const approve: Tree = ['POST /registry/approvals/{id}', [['approve', [['verify', []]]]]];
  const commit = 'POST /registry/commit/{id}';
  assert.deepEqual(
    roots.map((root) => treeOf(root, spans)),
    [
      ['POST /registry/proposals', [['propose', []]]],
      [commit, [['commit', []]]],
      approve,
      approve,
      approve,
      [
        commit,
        [
          [
            'commit',
            [
              ['publish', []],
              ['store.append', []],
            ],
          ],
        ],
      ],
    ],
  );
  assert.deepEqual(
    roots.map(({ isServer, attributes }) => [
      isServer,
      attributes['quorate.corr_id'],
      attributes['http.response.status_code'],
      attributes['error.type'],
    ]),
    statuses.map((status) => [
      true,
      'corr-1',
      status,
      status === 409 ? 'quorum_not_reached' : undefined,
    ]),
  );
  const append = spans.find(({ name }) => name === 'store.append');
  assert.deepEqual(append?.attributes, { 'quorate.version': 1, 'quorate.entries': 1 });
  assert.ok(!collector.bodies.join().includes('canary'));
  assert.ok(!collector.bodies.join().includes('127.0.0.1'));
  const refused = server.records.find(({ status }) => status === 409);
  assert.deepEqual([refused?.trace_id, refused?.corr_id], [TRACE, 'corr-1']);
});

test('a read is one span and no more', async (t) => {
  const collector = await startCollector(t);
  const server = await startTestServer(t, { trace_endpoint: collector.endpoint });
  await beginOver(clientOf(server.url));
  const response = await fetch(`${server.url}/registry/head`, {
    headers: { traceparent: `00-${TRACE}-${CALLER}-01` },
  });
  await response.body?.cancel();
  const odd = await fetch(`${server.url}/no/such/route`, { headers: { traceparent: 'zz\u00e9' } });
  assert.equal(odd.status, 404);
  await server.stop();
  const spans = collector.spans();
  assert.deepEqual(
    spans.filter(({ traceId }) => traceId === TRACE).map(({ name }) => name),
    ['GET /registry/head'],
  );
  assert.ok(spans.some(({ name }) => name === 'GET unmatched'));
});

test('commits of one batch have one append, a child of the first and linked to the others', async (t) => {
  const collector = await startCollector(t);
  const parts = { log: createLog({ level: 'silent' }), service: { name: 'q', version: '1' } };
  const tracer = await openTracer(collector.endpoint, { ...parts, env: {} });
  const { registry, registryHash, signers } = await openTestRegistry({ tracer });
  const proposals = ['a', 'b', 'c'].map((name) =>
    descriptorsPayload(registryHash, [put(name, {})], { note: name }),
  );
  for (const proposal of proposals) {
    await registry.proposals.propose(proposal.bytes);
    for (const signer of signers)
      await registry.proposals.approve(proposal.payloadB3, signer.approve(proposal));
  }
  await Promise.all(
    proposals.map((proposal, i) =>
      tracer.request(
        { route: `/commit/${i}`, method: 'POST', corrId: `c-${i}`, traceparent: undefined },
        () => registry.proposals.commit(proposal.payloadB3),
        () => ({ status: 201 }),
      ),
    ),
  );
  await tracer[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  const spans = collector.spans();
  const commits = [0, 1, 2].map((i) => {
    const root = spans.find(({ name }) => name === `POST /commit/${i}`);
    return spans.find(({ parentSpanId }) => parentSpanId === root?.spanId);
  });
  assert.deepEqual(
    commits.map((span) => span?.name),
    ['commit', 'commit', 'commit'],
  );
  for (const name of ['store.append', 'publish']) {
    const [shared, ...more] = spans.filter((span) => span.name === name);
    assert.equal(more.length, 0);
    assert.equal(shared?.parentSpanId, commits[0]?.spanId);
    assert.equal(shared?.attributes['quorate.entries'], 3);
    assert.deepEqual(
      shared?.links,
      commits.slice(1).map((span) => ({ traceId: span?.traceId, spanId: span?.spanId })),
    );
  }
});

test('without the OpenTelemetry packages a server starts, and one that is told to trace does not', async () => {
  const hidden = `import { registerHooks } from 'node:module';
    registerHooks({ resolve(specifier, context, next) {
      if (!specifier.startsWith('@opentelemetry/sdk-trace')) return next(specifier, context);
      throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' });
    } });`;
  const serve = (settings: Readonly<Record<string, string>>) =>
    start(
      {
        cwd: tmpdir(),
        env: {
          NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(hidden)}`,
          QUORATE_PROFILE: 'micronode',
          QUORATE_LISTEN: '127.0.0.1:0',
          QUORATE_METRICS_LISTEN: 'off',
          ...settings,
        },
      },
      'serve',
    );
  const plain = serve({});
  await plain.said(/^http:/m);
  plain.child.kill('SIGTERM');
  assert.equal((await plain.ended).code, 0);
  const traced = await serve({ QUORATE_TRACE_ENDPOINT: 'http://127.0.0.1:9/v1/traces' }).ended;
  assert.deepEqual([traced.code === 0, traced.stdout], [false, '']);
  assert.match(traced.stderr, /npm install "@opentelemetry\/context-async-hooks@\^3\.1\.0"/);
});
