import assert from 'node:assert/strict';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Network, parseNetworks } from '../../../src/server/config-values.ts';
import { createClientAddress } from '../../../src/server/listen/client-address.ts';
import { createTrustedPeers } from '../../../src/server/listen/trusted-peers.ts';

const PROXIES = '10.0.0.0/8,192.0.2.1,2001:db8:1::/48';

function networks(text: string): readonly Network[] {
  const parsed = parseNetworks(text);
  assert.ok(parsed, text);
  return parsed;
}

/** `peer` undefined: a Unix socket. */
function requestOf(peer: string | undefined, forwarded: readonly string[]): IncomingMessage {
  const socket = new Socket();
  Object.defineProperty(socket, 'remoteAddress', { value: peer });
  const request = new IncomingMessage(socket);
  Object.defineProperty(request, 'headersDistinct', {
    value: forwarded.length === 0 ? {} : { 'x-forwarded-for': forwarded },
  });
  return request;
}

function clientOf(
  peer: string | undefined,
  forwarded: readonly string[],
  trusted = PROXIES,
): string {
  const parsed = networks(trusted);
  return createClientAddress(() => parsed)(requestOf(peer, forwarded));
}

test('a peer that is no trusted proxy is the client, whatever it says of others', () => {
  for (const said of ['198.51.100.7', '10.0.0.1', '127.0.0.1', '::1', 'unknown', ''])
    assert.equal(clientOf('203.0.113.5', [said]), '203.0.113.5', said);
  assert.equal(clientOf('203.0.113.5', ['198.51.100.7'], ''), '203.0.113.5', 'nobody is trusted');
});

test('behind a trusted proxy the client is the address that it wrote', () => {
  const cases: Readonly<Record<string, string>> = {
    '198.51.100.7': '198.51.100.7',
    ' 198.51.100.7 ': '198.51.100.7',
    '\t198.51.100.7': '198.51.100.7',
    '198.51.100.7:4711': '198.51.100.7',
    '2001:db8::9': '2001:db8:0:0::/64',
    '[2001:db8::9]': '2001:db8:0:0::/64',
    '[2001:db8::9]:443': '2001:db8:0:0::/64',
    '::ffff:198.51.100.7': '198.51.100.7',
    'fe80::1%eth0': 'fe80:0:0:0::/64',
  };
  for (const [said, client] of Object.entries(cases))
    for (const peer of ['10.1.2.3', '192.0.2.1', '::ffff:10.1.2.3', '2001:db8:1::77'])
      assert.equal(clientOf(peer, [said]), client, `${said} by ${peer}`);
});

test('what stands before the newest untrusted address was written by a stranger', () => {
  assert.equal(clientOf('10.1.2.3', ['127.0.0.1, 198.51.100.7']), '198.51.100.7');
  assert.equal(clientOf('10.1.2.3', ['10.9.9.9, 198.51.100.7']), '198.51.100.7');
  assert.equal(clientOf('10.1.2.3', ['garbage, 198.51.100.7']), '198.51.100.7');
});

test('a chain of trusted proxies is followed to its end, also over several headers', () => {
  assert.equal(clientOf('10.1.2.3', ['198.51.100.7, 10.4.4.4, 192.0.2.1']), '198.51.100.7');
  assert.equal(clientOf('10.1.2.3', ['198.51.100.7', '10.4.4.4', '192.0.2.1']), '198.51.100.7');
  assert.equal(clientOf('10.1.2.3', ['127.0.0.1, 198.51.100.7', '10.4.4.4']), '198.51.100.7');
  assert.equal(
    clientOf('10.1.2.3', ['10.7.7.7, 10.4.4.4']),
    '10.7.7.7',
    'a proxy that asks itself',
  );
});

test('what is no address says nothing: the trusted proxy that wrote it is the client', () => {
  const texts = [
    '',
    ' ',
    'unknown',
    '_hidden',
    'client.example.com',
    '198.51.100.7, ',
    '198.51.100',
    '198.51.100.07',
    '198.51.100.7:',
    '198.51.100.7:x',
    '198.51.100.7:123456',
    '[2001:db8::9',
    '[2001:db8::9]x',
    '[198.51.100.7',
    '"198.51.100.7"',
    'for=198.51.100.7',
    '198.51.100.7/32',
    '0x7f.1',
    '1e1.0.0.1',
    '2001:db8::9:::',
  ];
  for (const text of texts) assert.equal(clientOf('10.1.2.3', [text]), '10.1.2.3', text);
  assert.equal(clientOf('10.1.2.3', []), '10.1.2.3', 'no header');
  assert.equal(clientOf('10.1.2.3', ['198.51.100.7, unknown, 10.4.4.4']), '10.4.4.4');
});

test('the peer of a Unix socket is local, and a proxy only where loopback is trusted', () => {
  assert.equal(clientOf(undefined, ['198.51.100.7'], '10.0.0.0/8'), 'local');
  for (const trusted of ['127.0.0.1', '::1', '127.0.0.0/8', '10.0.0.0/8,::1/128']) {
    assert.equal(clientOf(undefined, ['198.51.100.7'], trusted), '198.51.100.7', trusted);
    assert.equal(clientOf(undefined, [], trusted), 'local', trusted);
    assert.equal(clientOf(undefined, ['unknown'], trusted), 'local', trusted);
  }
});

test('a reload changes who is trusted', () => {
  let trusted = networks('10.0.0.0/8');
  const isTrusted = createTrustedPeers(() => trusted);
  assert.deepEqual(['10.0.0.1', '11.0.0.1'].map(isTrusted), [true, false]);
  trusted = networks('11.0.0.0/8');
  assert.deepEqual(['10.0.0.1', '11.0.0.1'].map(isTrusted), [false, true]);
});

test('a network is trusted to its last address and not one further', () => {
  const isTrusted = createTrustedPeers(() => all);
  const all = networks('192.0.2.64/26,2001:db8:1::/48,::ffff:198.51.100.0/120');
  const inside = [
    '192.0.2.64',
    '192.0.2.127',
    '::ffff:192.0.2.127',
    '2001:db8:1::',
    '198.51.100.255',
  ];
  const outside = [
    '192.0.2.63',
    '192.0.2.128',
    '2001:db8:0:ffff::',
    '2001:db8:2::',
    '198.51.101.0',
  ];
  assert.deepEqual(
    inside.filter((address) => !isTrusted(address)),
    [],
  );
  assert.deepEqual(outside.filter(isTrusted), []);
});

test('no header of a stranger throws, or is believed', () => {
  const hop = fc.oneof(fc.ipV4(), fc.ipV6(), fc.string({ maxLength: 40 }));
  fc.assert(
    fc.property(fc.array(fc.array(hop).map((hops) => hops.join(', '))), (headers) => {
      assert.equal(clientOf('203.0.113.5', headers), '203.0.113.5');
      assert.equal(clientOf('10.1.2.3', [...headers, '203.0.113.5']), '203.0.113.5');
      assert.match(clientOf('10.1.2.3', headers), /^[0-9a-f.:/]+$/);
    }),
  );
});
