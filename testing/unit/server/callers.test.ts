import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressKey } from '../../../src/server/address-key.ts';
import { isLoopbackCaller } from '../../../src/server/loopback.ts';
import { createRateLimit } from '../../../src/server/rate-limit.ts';

const TCP = { isUnixSocket: false };

test('a loopback caller is on this machine and means it', () => {
  for (const address of ['127.0.0.1', '127.8.9.10', '::1', '::ffff:127.0.0.1'])
    for (const host of ['localhost', 'LOCALHOST:7070', '127.0.0.1:7070', '[::1]:7070', '127.3.2.1'])
      assert.equal(isLoopbackCaller({ ...TCP, address, host }), true, `${address} ${host}`);
});

test('another machine is no loopback caller, whatever it calls the server', () => {
  for (const address of [
    '10.0.0.1',
    '192.168.127.1',
    '::ffff:10.0.0.1',
    'fe80::1%lo',
    '::2',
    undefined,
  ])
    assert.equal(isLoopbackCaller({ ...TCP, address, host: 'localhost' }), false, address);
});

test('the peer of a Unix socket is on this machine, and still has to mean it', () => {
  const caller = { address: undefined, isUnixSocket: true };
  assert.equal(isLoopbackCaller({ ...caller, host: 'localhost' }), true);
  assert.equal(isLoopbackCaller({ ...caller, host: 'registry.example.com' }), false);
  assert.equal(isLoopbackCaller({ ...caller, host: undefined }), false);
});

test('a name that only looks like loopback is refused', () => {
  const hosts = [
    'example.com',
    'localhost.example.com',
    'xlocalhost',
    '127.0.0.1.nip.io',
    '127.1',
    '0.0.0.0',
  ];
  for (const host of [
    ...hosts,
    '[::1].x',
    'localhost:',
    'localhost:1:2',
    'localhost\u0000',
    '',
    undefined,
  ])
    assert.equal(isLoopbackCaller({ ...TCP, address: '127.0.0.1', host }), false, host);
});

test('an address counts as itself, an IPv6 one as its /64, a mapped one as the IPv4 it is', () => {
  const keys: Readonly<Record<string, string>> = {
    '10.0.0.1': '10.0.0.1',
    '::ffff:10.0.0.1': '10.0.0.1',
    '::FFFF:a00:1': '10.0.0.1',
    '0:0:0:0:0:ffff:192.0.2.255': '192.0.2.255',
    '::fffe:10.0.0.1': '0:0:0:0::/64',
    '1::2:3:4:5:192.0.2.1': '1:0:2:3::/64',
    '64:ff9b::192.0.2.1': '64:ff9b:0:0::/64',
    '::1': '0:0:0:0::/64',
    '2001:db8::1': '2001:db8:0:0::/64',
    '2001:db8:0:0:ffff::9': '2001:db8:0:0::/64',
    '2001:0db8:1::': '2001:db8:1:0::/64',
    'fe80::1%eth0': 'fe80:0:0:0::/64',
  };
  for (const [address, key] of Object.entries(keys)) assert.equal(addressKey(address), key);
  assert.equal(addressKey(undefined), 'local');
});

test('two IPv6 addresses have one key exactly when they share a /64, however they are spelled', () => {
  const group = fc.integer({ min: 0, max: 0xffff });
  const groups = fc.array(group, { minLength: 8, maxLength: 8 });
  const spelled = (parts: readonly number[]) => parts.map((part) => part.toString(16)).join(':');
  const shortened = (parts: readonly number[]) =>
    new URL(`http://[${spelled(parts)}]`).hostname.slice(1, -1);
  fc.assert(
    fc.property(groups, groups, (one, two) => {
      assert.equal(addressKey(shortened(one)), addressKey(spelled(one)));
      const neighbour = [...one.slice(0, 4), ...two.slice(4)];
      assert.equal(addressKey(shortened(neighbour)), addressKey(spelled(one)));
      const isShared = one.slice(0, 4).join() === two.slice(0, 4).join();
      assert.equal(addressKey(spelled(two)) === addressKey(spelled(one)), isShared);
    }),
  );
});

test('each address has its own share of writes', () => {
  let nowMs = 1_000;
  const take = createRateLimit(() => 2, { now: () => nowMs });
  assert.deepEqual([take('a').ok, take('a').ok], [true, true]);
  nowMs += 20_001;
  assert.deepEqual(take('a'), { ok: false, retryAfterSeconds: 40 });
  assert.equal(take('b').ok, true);
  nowMs = 60_999;
  assert.deepEqual(take('a'), { ok: false, retryAfterSeconds: 1 });
  nowMs = 61_000;
  assert.deepEqual([take('a').ok, take('a').ok, take('a').ok], [true, true, false]);
});

test('a share follows a reload: what was used counts on', () => {
  let perMinute = 1;
  const take = createRateLimit(() => perMinute);
  assert.deepEqual([take('a').ok, take('a').ok], [true, false]);
  perMinute = 4;
  assert.deepEqual([take('a').ok, take('a').ok, take('a').ok], [true, true, false]);
  perMinute = 1;
  assert.deepEqual([take('a').ok, take('b').ok], [false, true]);
});

test('past the number of callers that are held, new ones share an allowance until a minute is over', () => {
  let nowMs = 0;
  const take = createRateLimit(() => 2, { maxCallers: 2, now: () => nowMs });
  const oks = (callers: string) => [...callers].map((caller) => take(caller).ok);
  assert.deepEqual(oks('abcdef'), [true, true, true, true, false, false]);
  assert.deepEqual(oks('aabb'), [true, false, true, false], 'those who were first keep their own');
  nowMs = 60_000;
  assert.deepEqual(oks('ghi'), [true, true, false], 'those of the minute before are still held');
  nowMs = 120_000;
  assert.deepEqual(oks('ggghh'), [true, true, false, true, true]);
});

test('whoever comes, however often: in any 60 s of its own a caller gets its share and no more', () => {
  const ask = fc.record({ caller: fc.constantFrom('a', 'b', 'c'), afterMs: fc.nat(30_000) });
  fc.assert(
    fc.property(fc.array(ask, { maxLength: 200 }), (asks) => {
      let nowMs = 0;
      const take = createRateLimit(() => 3, { now: () => nowMs });
      const begun = new Map<string, { at: number; used: number }>();
      for (const { caller, afterMs } of asks) {
        nowMs += afterMs;
        let own = begun.get(caller);
        if (own === undefined || nowMs >= own.at + 60_000) own = { at: nowMs, used: 0 };
        begun.set(caller, { ...own, used: own.used + 1 });
        assert.equal(take(caller).ok, own.used < 3);
      }
    }),
  );
});
