/** `quorate operator` against a real socket: what it sends, what it shows, how it ends. */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { RegistryError } from '../../../src/core/error.ts';
import { runCli } from '../../support/cli-io.ts';
import { lying } from '../../support/lying-store.ts';
import { openOperator, type TestOperator } from '../../support/operator.ts';
import { keepCheckpoint, put } from '../../support/registry.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';

const ENV = { USER: 'alice' };

function run({ socketPath }: Pick<TestOperator, 'socketPath'>, ...argv: readonly string[]) {
  return runCli(['operator', ...argv, '--socket', socketPath], { env: ENV });
}

/** To root every socket is open. */
async function asNobody<T>(act: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return act();
  process.seteuid?.(65_534);
  try {
    return await act();
  } finally {
    process.seteuid?.(0);
  }
}

/** Something that listens where an operator socket should be. */
async function listen(t: TestContext, listener: RequestListener) {
  const socketPath = join(makeDirectory(), 'operator.sock');
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  t.after(() => server.close());
  return { socketPath };
}

test('freeze and thaw say what came of them, and who and why is recorded', async (t) => {
  const real = await openOperator(t);
  const frozen = await run(real, 'freeze', '--reason', 'disk swap');
  assert.deepEqual([frozen.code, frozen.stderr], [0, '']);
  assert.match(frozen.stdout, /^frozen: at version 0, since 2026-\S+: disk swap\n$/);
  const again = await run(real, 'freeze', '--reason', 'another');
  assert.match(again.stdout, /^was frozen already, .*: disk swap\n$/);
  const thawed = await run(real, 'thaw', '--reason', 'done');
  assert.deepEqual([thawed.code, thawed.stdout], [0, 'thawed: writes go on\n']);
  assert.match((await run(real, 'thaw', '--reason', 'done')).stdout, /^was not frozen/);
  assert.deepEqual(
    real.events.map(({ act, client, reason }) => [act, client, reason]),
    [
      ['freeze', 'operator:alice', 'disk swap'],
      ['freeze', 'operator:alice', 'another'],
      ['thaw', 'operator:alice', 'done'],
      ['thaw', 'operator:alice', 'done'],
    ],
  );
});

test('a freeze and a thaw without a reason are usage errors, and nothing is sent', async (t) => {
  const real = await openOperator(t);
  for (const act of ['freeze', 'thaw']) {
    const { code, stderr } = await run(real, act);
    assert.equal(code, 2);
    assert.match(stderr, /--reason/);
  }
  assert.deepEqual(real.events, []);
});

test('a reason that is refused is said so, with exit code 1', async (t) => {
  const real = await openOperator(t);
  const { code, stderr, stdout } = await run(real, 'freeze', '--reason', '  ');
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /^quorate: expected a reason of 1 to 1024 characters/);
  assert.equal(real.freeze.state, null);
});

test('what an operator or a server wrote cannot act on a terminal', async (t) => {
  const real = await openOperator(t);
  await real.freeze.freeze('\u001b[2Jgone \u202e');
  for (const act of ['status', 'freeze']) {
    const { stdout } = await run(real, act, ...(act === 'freeze' ? ['--reason', 'x'] : []));
    assert.match(stdout, /\\u\{1b\}\[2Jgone \\u\{202e\}/, act);
  }
});

test('status shows what is ready, what is missing and what is frozen', async (t) => {
  const real = await openOperator(t, {
    parts: { auditHead: () => ({ seq: 3, hash: 'b3:aa' }) },
  });
  await real.change(put('a', {}));
  const { stdout } = await run(real, 'status');
  for (const line of [
    /^program +1\.2\.3, started /m,
    /^reads +ready$/m,
    /^writes +ready$/m,
    /^frozen +no$/m,
    /^head +version 1, b3:[0-9a-f]{64}, committed at /m,
    /^checkpoint +of 2$/m,
    /^storage +\d+ bytes$/m,
    /^snapshot +none is being made$/m,
    /^audit +record 3, b3:aa$/m,
  ])
    assert.match(stdout, line);
  assert.doesNotMatch(stdout, /^missing/m);
  await run(real, 'freeze', '--reason', 'why');
  const frozen = (await run(real, 'status')).stdout;
  assert.match(frozen, /^reads +ready\nwrites +not ready\nmissing +freeze: .*why/m);
  assert.match(frozen, /^frozen +since \S+: why$/m);
});

test('a registry without genesis has a status', async (t) => {
  const real = await openOperator(t, { registry: { isBegun: false } });
  const { stdout } = await run(real, 'status');
  assert.match(stdout, /^head +none: no genesis yet\ncheckpoint +none$/m);
  assert.match(stdout, /^missing +genesis: /m);
  assert.doesNotMatch(stdout, /^audit/m);
});

test('with --json each answer is one document, as the socket gave it', async (t) => {
  const real = await openOperator(t);
  const [status] = (await run(real, 'status', '--json')).json();
  assert.equal(status?.program, '1.2.3');
  const [frozen] = (await run(real, 'freeze', '--reason', 'x', '--json')).json();
  assert.deepEqual([frozen?.changed, frozen?.settled, frozen?.version], [true, true, 0]);
  const [thawed] = (await run(real, 'thaw', '--reason', 'x', '--json')).json();
  assert.equal(thawed?.frozen, null);
  const [compacted] = (await run(real, 'compact', '--json')).json();
  assert.equal(compacted?.log_folded, true);
});

test('a reload lists what changed, or each mistake', async (t) => {
  let changed: readonly string[] = ['log_level', 'max_streams'];
  const real = await openOperator(t, {
    parts: {
      reload: async () => {
        if (changed.length > 2)
          throw new RegistryError('invalid_request', 'got 2 mistakes:\n  one\n  two');
        return changed;
      },
    },
  });
  assert.equal((await run(real, 'reload')).stdout, 'reloaded: log_level, max_streams\n');
  changed = [];
  assert.equal((await run(real, 'reload')).stdout, 'reloaded: nothing changed\n');
  changed = ['a', 'b', 'c'];
  const refused = await run(real, 'reload', '--reason', 'ticket 7');
  assert.equal(refused.code, 1);
  assert.equal(refused.stderr, 'quorate: got 2 mistakes:\n  one\n  two\n');
  assert.deepEqual(
    [real.events.at(-1)?.decision, real.events.at(-1)?.reason],
    ['refused', 'ticket 7'],
  );
});

test('a snapshot is told with its place, head and checkpoint', async (t) => {
  const real = await openOperator(t);
  await real.change(put('a', {}));
  const without = await run(real, 'snapshot');
  assert.match(without.stdout, /^checkpoint +none was kept yet$/m);
  await keepCheckpoint(real);
  const { code, stdout, stderr } = await run(real, 'snapshot');
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /^snapshot +\/.*\/snapshots\/1-[0-9a-f]{16}\.qsnap$/m);
  assert.match(stdout, /^head +version 1, b3:[0-9a-f]{64}$/m);
  assert.match(stdout, /^checkpoint +of 2, root \S+=$/m);
  assert.match(stdout, /^took +\d+\.\d s, verified$/m);
});

test('while a snapshot is made a terminal shows how far it is, and nothing of it stays', async (t) => {
  const shown = Promise.withResolvers<void>();
  const real = await openOperator(t, {
    wrap: (store) =>
      lying(store, {
        snapshot: async (target) => {
          target.onProgress?.({ doneBytes: 3 * 1024 * 1024, totalBytes: 8 * 1024 * 1024 });
          await shown.promise;
          await store.snapshot(target);
        },
      }),
  });
  const { code, stderr, stdout } = await runCli(
    ['operator', 'snapshot', '--socket', real.socketPath],
    {
      env: ENV,
      isTerminal: true,
      onOutput: (text) => {
        if (text.includes('MiB copied 3/8')) shown.resolve();
      },
    },
  );
  assert.equal(code, 0);
  assert.match(stdout, /verified/);
  assert.match(stderr, /MiB copied 3\/8/);
  assert.ok(stderr.endsWith('\r\x1b[K'), 'the bar is wiped');
});

test('a refusal of the server is its code, its words and its exit code', async (t) => {
  const real = await openOperator(t, { isMicronode: true });
  const refused = await run(real, 'snapshot', '--json');
  assert.equal(refused.code, 1);
  assert.equal(JSON.parse(refused.stderr).code, 'invalid_request');
  const busy = await openOperator(t, {
    wrap: (store) =>
      lying(store, {
        snapshot: async () => {
          throw new RegistryError('overloaded', 'expected one copy at a time, got one more');
        },
      }),
  });
  assert.equal((await run(busy, 'snapshot')).code, 4);
  const damaged = await openOperator(t, {
    wrap: (store) =>
      lying(store, {
        snapshot: async () => {
          throw new RegistryError('storage_damaged', 'expected version 1, got other bytes');
        },
      }),
  });
  const found = await run(damaged, 'snapshot');
  assert.equal(found.code, 3);
  assert.match(found.stderr, /got other bytes/);
});

test('without a server there is exit code 4', async () => {
  const missing = join(makeDirectory(), 'operator.sock');
  const { code, stderr } = await run({ socketPath: missing }, 'status');
  assert.equal(code, 4);
  assert.match(
    stderr,
    /operator socket .*operator\.sock, got ENOENT: is it running, and is --socket right\?\n$/,
  );
  const closed = await run({ socketPath: missing }, 'snapshot');
  assert.equal(closed.code, 4);
});

test('a socket that this user may not open is named with what to do', async (t) => {
  const { socketPath } = await listen(t, (_, response) => response.end('{}'));
  chmodSync(socketPath, 0o000);
  const refused = await asNobody(() => run({ socketPath }, 'status'));
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /expected leave to open .*, got EACCES/);
});

test('the socket is the one that is named, else that of the environment, else in ./data', async (t) => {
  const real = await openOperator(t);
  const env = { QUORATE_OPERATOR_SOCKET: real.socketPath };
  assert.equal((await runCli(['operator', 'status'], { env })).code, 0);
  const other = join(makeDirectory(), 'other.sock');
  assert.equal((await runCli(['operator', 'status', '--socket', other], { env })).code, 4);
  const initial = await runCli(['operator', 'status'], { env: { QUORATE_OPERATOR_SOCKET: '' } });
  assert.match(initial.stderr, /operator socket \.\/data\/operator\.sock/);
});

for (const [what, status, body] of [
  ['no json', 200, 'hello'],
  ['a list', 200, '[]'],
  ['a failure that is no problem', 500, '{"error":"x"}'],
  ['a problem of an unknown code', 500, '{"code":"x","detail":"y"}'],
  ['more than an answer', 200, `{"x":"${'x'.repeat(1024 * 1024)}"}`],
] as const)
  test(`${what} on the socket is an unexpected answer`, async (t) => {
    const real = await listen(t, (_, response) => response.writeHead(status).end(body));
    const { code, stderr, stdout } = await run(real, 'status');
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /expected the answer of an operator socket, got /);
  });

test('a server that goes away in the middle of an answer is unavailable', async (t) => {
  const real = await listen(t, (_, response) => {
    response.writeHead(200, { 'content-length': 100 });
    response.write('{"a"', () => response.destroy());
  });
  assert.equal((await run(real, 'status')).code, 4);
});

test('who acts is sudo\u2019s caller, else the user, and a name that cannot be recorded is left out', async (t) => {
  const real = await openOperator(t);
  for (const env of [
    { SUDO_USER: 'bob', USER: 'root' },
    { USER: 'carol' },
    { LOGNAME: 'dave' },
    { USER: 'no name' },
  ])
    assert.equal(
      (await runCli(['operator', 'compact', '--socket', real.socketPath], { env })).code,
      0,
    );
  assert.deepEqual(
    real.events.map(({ client }) => client),
    ['operator:bob', 'operator:carol', 'operator:dave', 'operator'],
  );
});
