import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Address, SocketPath } from '../../../src/server/config-values.ts';
import { Connections } from '../../../src/server/listen/connections.ts';
import { ask, capped } from '../../support/server-peers.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };

/** One after another, each staying open: who was served. */
async function served(
  to: Address | SocketPath,
  ...from: readonly (string | undefined)[]
): Promise<boolean[]> {
  const answers: boolean[] = [];
  for (const localAddress of from) answers.push((await ask(to, localAddress)).isServed);
  return answers;
}

const ONE = '127.0.0.1';
const TWO = '127.0.0.2';
const PROXY = '127.0.0.9';

test('connections of one address are served up to the cap, the next is not, and others are', async (t) => {
  const limits = { maxConnections: 10, maxConnectionsPerAddress: 3 };
  const { address, refusals, open } = await capped(t, { address: LOOPBACK, limits });
  assert.deepEqual(await served(address, ONE, ONE, ONE), [true, true, true]);
  assert.deepEqual([refusals, open()], [[], 3]);
  assert.equal((await ask(address, ONE)).code, 'ECONNRESET');
  assert.deepEqual([refusals, open()], [['address'], 3]);
  assert.deepEqual(await served(address, TWO, ONE), [true, false]);
});

test('connections in all are served up to the cap, and the next is not, wherever it comes from', async (t) => {
  const limits = { maxConnections: 2, maxConnectionsPerAddress: 2 };
  const { address, refusals } = await capped(t, { address: LOOPBACK, limits });
  assert.deepEqual(await served(address, ONE, TWO, '127.0.0.3'), [true, true, false]);
  assert.deepEqual(refusals, ['total']);
});

test('a place is free again when its connection has closed, however it ended, and once', async (t) => {
  const limits = { maxConnections: 10, maxConnectionsPerAddress: 1 };
  const { address, refusals, open, untilOpen } = await capped(t, { address: LOOPBACK, limits });
  const ends = ['end', 'destroy', 'resetAndDestroy', 'garbage'] as const;
  for (const how of [...ends, ...ends]) {
    const { socket, isServed } = await ask(address);
    assert.deepEqual([isServed, ...(await served(address, ONE)), open()], [true, false, 1], how);
    if (how === 'garbage') socket.write('\0\r\n\r\n');
    else socket[how]();
    await untilOpen(0);
  }
  assert.equal(refusals.length, 2 * ends.length);
});

test('a reload changes the caps, and who is connected stays so', async (t) => {
  const limits = { maxConnections: 10, maxConnectionsPerAddress: 2 };
  const stage = await capped(t, { address: LOOPBACK, limits });
  const first = await ask(stage.address);
  assert.deepEqual(await served(stage.address, ONE), [true]);
  stage.limits = { maxConnections: 10, maxConnectionsPerAddress: 1 };
  assert.equal(stage.open(), 2);
  first.socket.destroy();
  await stage.untilOpen(1);
  assert.deepEqual(await served(stage.address, ONE), [false]);
  stage.limits = limits;
  assert.deepEqual(await served(stage.address, ONE), [true]);
});

test('an IPv4 peer of an IPv6 listener counts as the address it is, ::1 by its /64', async (t) => {
  const limits = { maxConnections: 10, maxConnectionsPerAddress: 1 };
  const { address, refusals } = await capped(t, { address: { host: '::', port: 0 }, limits });
  const { port } = address;
  assert.deepEqual(await served({ host: ONE, port }, ONE, ONE, TWO), [true, false, true]);
  assert.deepEqual(await served({ host: '::1', port }, '::1', '::1'), [true, false]);
  assert.deepEqual(refusals, ['address', 'address']);
});

test('all addresses of one /64 are one, and its neighbour is another', () => {
  const connections = new Connections({
    limits: () => ({ maxConnections: 10, maxConnectionsPerAddress: 2 }),
    isTrusted: () => false,
    metrics: { connections: () => undefined, connectionRefused: () => undefined },
  });
  const socketOf = (remoteAddress: string) =>
    Object.defineProperty(new Socket(), 'remoteAddress', { value: remoteAddress });
  const first = socketOf('2001:db8:0:1::1');
  const admit = (address: string) => connections.admit(socketOf(address));
  assert.equal(connections.admit(first), true);
  assert.equal(admit('2001:db8:0:1:ffff::2'), true);
  assert.equal(admit('2001:db8:0:1::3'), false);
  assert.equal(admit('2001:db8:0:2::3'), true);
  first.emit('close');
  assert.equal(admit('2001:db8:0:1::3'), true);
});

test('trusted proxies are counted in all and not by address', async (t) => {
  const limits = { maxConnections: 3, maxConnectionsPerAddress: 1 };
  const isTrusted = (address: string | undefined) => address === PROXY;
  const { address, refusals } = await capped(t, { address: LOOPBACK, limits, isTrusted });
  assert.deepEqual(await served(address, PROXY, PROXY, ONE, PROXY), [true, true, true, false]);
  assert.deepEqual(refusals, ['total']);
});

test('peers of a Unix socket are counted in all and not by address', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-peers-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const to = { path: join(directory, 's') };
  const limits = { maxConnections: 2, maxConnectionsPerAddress: 1 };
  const { refusals, untilOpen } = await capped(t, { address: to, limits });
  const first = await ask(to);
  assert.deepEqual(
    [first.isServed, ...(await served(to, undefined, undefined))],
    [true, true, false],
  );
  assert.deepEqual(refusals, ['total']);
  first.socket.destroy();
  await untilOpen(1);
  assert.deepEqual(await served(to, undefined), [true]);
});
