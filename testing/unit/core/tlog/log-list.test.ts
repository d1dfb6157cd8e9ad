import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeLogList, originHash, parseLogList } from '../../../../src/core/tlog/log-list.ts';
import { NO_WITNESSES, parsePolicy } from '../../../../src/core/tlog/policy.ts';
import { encodePolicy } from '../../../../src/core/tlog/policy-text.ts';
import { refuses } from '../../../support/core-assert.ts';
import { makeCosigner, TestLog } from '../../../support/witness.ts';

const one = new TestLog({ origin: 'one.example/log', key: 'one' }).vkey;
const two = new TestLog({ origin: 'two.example/log', key: 'two' }).vkey;

const LIST = `#
# List: testing
#
logs/v0

# the first
vkey ${one}
origin none
qpd 1440
bastion https://bastion.example/
contact mail (at) one.example

vkey ${two}
origin an origin of its own
`;

test('a log list names each log with its key, origin, budget and contact', () => {
  const [first, second, ...more] = parseLogList(LIST);
  assert.deepEqual(more, []);
  assert.deepEqual(
    { ...first, key: undefined },
    {
      vkey: one,
      key: undefined,
      origin: 'one.example/log',
      requestsPerDay: 1440,
      contact: 'mail (at) one.example',
    },
  );
  assert.equal(second?.origin, 'an origin of its own');
  assert.equal(second?.key.name, 'two.example/log');
  assert.equal(second?.requestsPerDay, null);
});

test('what is written as a log list reads back as it was', () => {
  const logs = parseLogList(LIST);
  assert.deepEqual(parseLogList(encodeLogList(logs)), logs);
  assert.equal(
    encodeLogList(logs.slice(0, 1)),
    `logs/v0\n\nvkey ${one}\nqpd 1440\ncontact mail (at) one.example\n`,
  );
});

test('a log list that is none is refused with its line', () => {
  const cosigner = makeCosigner('witness.example/w1').vkey;
  for (const [text, message] of [
    ['', /line 1 /],
    [`vkey ${one}\n`, /expected logs\/v0 in line 1/],
    ['logs/v1\n', /line 1 /],
    ['logs/v0\nqpd 7\n', /line 2 /],
    ['logs/v0\n\nvkey nobody\n', /line 3 /],
    [`logs/v0\nvkey ${cosigner}\n`, /line 2 /],
    [`logs/v0\nvkey ${one}\nqpd many\n`, /line 3 /],
    [`logs/v0\nvkey ${one}\norigin\n`, /line 3 /],
    [`logs/v0\nvkey ${one}\ncolour red\n`, /line 3 /],
  ] as const)
    refuses('malformed', () => parseLogList(text), message);
});

test('a log is served under the hash of its origin', () => {
  // Of the SHA-256 of "abc", FIPS 180.
  assert.equal(
    originHash('abc'),
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
});

test('a policy for readers reads back with the witnesses, groups and quorum of the log', () => {
  const [w1, w2, clock] = ['w1', 'w2', 'one.example/log/clock'].map(
    (name) => makeCosigner(name).vkey,
  );
  const policy = parsePolicy(
    `witness a ${w1} https://a.example\nwitness clock ${w2} https://b.example/\ngroup g 2 a clock\nquorum g\n`,
  );
  const text = encodePolicy({
    logs: [one],
    url: 'https://log.example',
    policy,
    clock: clock ?? null,
  });
  const read = parsePolicy(text);
  assert.deepEqual(
    read.logs.map(({ key, url }) => [key.name, url]),
    [['one.example/log', 'https://log.example']],
  );
  assert.deepEqual(
    read.witnesses.map(({ name, url }) => [name, url]),
    [
      ['a', null],
      ['clock', null],
      ['clock-1', null],
    ],
  );
  assert.deepEqual(read.groups, policy.groups);
  assert.equal(read.quorum, 'g');
  const taken = parsePolicy(`witness clock ${w1}\nwitness clock-1 ${w2}\nquorum clock\n`);
  const third = makeCosigner('three.example/clock').vkey;
  const again = encodePolicy({
    logs: [one],
    url: 'https://log.example',
    policy: taken,
    clock: third,
  });
  assert.deepEqual(
    parsePolicy(again).witnesses.map(({ name }) => name),
    ['clock', 'clock-1', 'clock-2'],
  );
});

test('without witnesses readers are offered the clock, and without a clock nobody', () => {
  const clock = makeCosigner('one.example/log/clock').vkey;
  const base = { logs: [one], url: 'https://log.example', policy: NO_WITNESSES };
  assert.equal(parsePolicy(encodePolicy({ ...base, clock })).quorum, 'clock');
  assert.equal(parsePolicy(encodePolicy({ ...base, clock: null })).quorum, null);
});
