/** What is written of refused requests: a bounded part of them a minute, and an exact count of the rest. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { LISTED_IN_ALL, LISTED_PER_CLIENT, RefusalLog } from '../../../src/server/refusal-log.ts';
import { startWitness } from '../../../src/server/witness-server.ts';
import type { LogFields } from '../../../src/telemetry/log.ts';
import { openTestApp } from '../../support/http-app.ts';
import { exchange } from '../../support/server-socket.ts';
import { startTestServer } from '../../support/server-start.ts';
import { TestTimers } from '../../support/timers.ts';
import { TestLog, witnessFile } from '../../support/witness.ts';

const MINUTE_MS = 60_000;

function openLog() {
  const timers = new TestTimers(0);
  const lines: { message: string; fields: LogFields }[] = [];
  const debugged: LogFields[] = [];
  const log = {
    info: (message: string, fields = {}) => void lines.push({ message, fields }),
    debug: (_: string, fields = {}) => void debugged.push(fields),
  };
  const refusals = new RefusalLog({ log, timers });
  const refuse = (client: string, count: number) => {
    for (let i = 0; i < count; i++) refusals.refused(client, { client });
  };
  const listed = (client?: string) =>
    lines.filter(
      ({ message, fields }) =>
        message === 'request refused' && (client === undefined || fields.client === client),
    ).length;
  const counted = () =>
    lines.filter(({ message }) => message === 'requests refused').map(({ fields }) => fields);
  return { timers, refusals, refuse, lines, debugged, listed, counted };
}

test('of 5,000 refusals of one client in a minute few are listed, and all others are counted', () => {
  const { timers, refuse, lines, listed, counted } = openLog();
  refuse('192.0.2.1', 5_000);
  assert.deepEqual([listed(), counted()], [LISTED_PER_CLIENT, []]);
  timers.advance(MINUTE_MS);
  assert.deepEqual(counted(), [{ count: 5_000 - LISTED_PER_CLIENT, clients: 1 }]);
  assert.equal(lines.length, LISTED_PER_CLIENT + 1);
});

test('a client that floods keeps no other out, and many together are bounded too', () => {
  const { timers, refuse, listed, counted } = openLog();
  refuse('192.0.2.1', 5_000);
  refuse('192.0.2.2', 3);
  assert.equal(listed('192.0.2.2'), 3);
  for (let i = 0; i < 10_000; i++) refuse(`2001:db8:0:${i}::/64`, 1);
  assert.equal(listed(), LISTED_IN_ALL);
  timers.advance(MINUTE_MS);
  const [{ count, clients } = {}] = counted();
  assert.equal(count, 15_003 - LISTED_IN_ALL);
  // No more of them are held.
  assert.equal(clients, 4_096);
});

test('the next minute begins anew; one without anything to count writes nothing and runs no timer', () => {
  const { timers, refuse, listed, counted } = openLog();
  refuse('192.0.2.1', LISTED_PER_CLIENT);
  timers.advance(MINUTE_MS);
  assert.deepEqual([counted(), timers.pending], [[], 0]);
  refuse('192.0.2.1', LISTED_PER_CLIENT + 1);
  timers.advance(MINUTE_MS);
  assert.equal(listed(), 2 * LISTED_PER_CLIENT);
  assert.deepEqual(counted(), [{ count: 1, clients: 1 }]);
});

test('at level debug those that are not listed are lines too', () => {
  const { refuse, debugged } = openLog();
  refuse('192.0.2.1', LISTED_PER_CLIENT + 3);
  assert.deepEqual(debugged, Array(3).fill({ client: '192.0.2.1' }));
});

test('what was counted is written at a close', () => {
  const { timers, refusals, refuse, counted } = openLog();
  refuse('192.0.2.1', LISTED_PER_CLIENT + 7);
  refusals.close();
  assert.deepEqual([counted(), timers.pending], [[{ count: 7, clients: 1 }], 0]);
});

test('a failure is a line of its own, whatever has been refused', async () => {
  const { refusals, listed } = openLog();
  const { get, registry, lines } = await openTestApp({
    deps: { onRefused: refusals.refused.bind(refusals) },
  });
  for (let i = 0; i < 2 * LISTED_PER_CLIENT; i++) await get('/nowhere');
  registry.reader.entry = async () => {
    throw new Error('disk on fire');
  };
  for (let i = 0; i < 5; i++) await get('/registry/0');
  assert.equal(listed('127.0.0.1'), LISTED_PER_CLIENT);
  assert.deepEqual(
    lines.map(({ level, message }) => [level, message]).filter(([level]) => level !== 'debug'),
    Array(5).fill(['error', 'request failed']),
  );
});

test('a server that gets garbage says so a bounded number of times, and how often it came when it stops', async (t) => {
  const garbage = 2 * LISTED_PER_CLIENT;
  const server = await startTestServer(t);
  for (let i = 0; i < garbage; i++)
    assert.match(await exchange(server.address, 'garbage\r\n\r\n'), /^HTTP\/1\.1 400 /);
  // Those that reach the application are counted with them.
  const unknown = 'GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
  assert.match(await exchange(server.address, unknown), /^HTTP\/1\.1 404 /);
  const named = (text: string) => server.records.filter(({ msg }) => msg === text);
  assert.equal(named('request refused').length, LISTED_PER_CLIENT);
  assert.equal(named('request refused')[0]?.client, '127.0.0.1');
  await server.stop();
  assert.equal(named('request refused').length, LISTED_PER_CLIENT);
  assert.deepEqual(
    named('requests refused').map(({ count, clients }) => [count, clients]),
    [[garbage - LISTED_PER_CLIENT + 1, 1]],
  );
});

test('a witness says so a bounded number of times too', async () => {
  const lines: string[] = [];
  const write = (message: string) => void lines.push(message);
  const file = witnessFile('key.pem');
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const witness = await startWitness({
    key: { file },
    name: 'witness.example/w1',
    dbPath: witnessFile('w.db'),
    listen: { host: '127.0.0.1', port: 0 },
    logs: [new TestLog().vkey],
    logLists: [],
    prefix: '',
    log: { debug: () => undefined, info: write, warn: write, error: write },
  });
  const ask = () => fetch(`${witness.url}/add-checkpoint`, { method: 'POST', body: 'nothing' });
  for (let i = 0; i < 2 * LISTED_PER_CLIENT; i++) assert.equal((await ask()).status, 400);
  await witness.stop();
  const refused = lines.filter((message) => /refused|cosigned/.test(message));
  assert.deepEqual(refused, [
    ...Array(LISTED_PER_CLIENT).fill('request refused'),
    'requests refused',
  ]);
});
