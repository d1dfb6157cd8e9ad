import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  isSatisfied,
  NO_WITNESSES,
  parsePolicy,
  quorumTime,
  type WitnessPolicy,
} from '../../../../src/core/tlog/policy.ts';
import { encodeVerifierKey, type KeyType } from '../../../../src/core/vkey.ts';
import { refuses } from '../../../support/core-assert.ts';

function vkey(name: string, type: KeyType, fill: number): string {
  const publicKey = new Uint8Array(type === 'ml-dsa-44' ? 1312 : 32).fill(fill);
  return encodeVerifierKey({ name, type, publicKey });
}

const LOG = vkey('log.example', 'ed25519', 1);
const keys = Array.from({ length: 40 }, (_, i) => vkey(`w${i}.example`, 'cosigner', 10 + i));
const [A, B] = [keys[0]!, keys[1]!];
const AB = `witness a ${A}\nwitness b ${B}\n`;

function refused(text: string, line: number, message: RegExp): void {
  refuses('invalid_request', () => parsePolicy(text), message);
  const place =
    line === 0 ? /in the witness policy/ : new RegExp(`line ${line} of the witness pol`);
  refuses('invalid_request', () => parsePolicy(text), place);
}

test('logs, witnesses, groups and the quorum are read, with urls where they are given', () => {
  const policy = parsePolicy(
    `# ours\n\nlog ${LOG}\nlog ${vkey('l2', 'ml-dsa-44', 2)} https://log.example/base/\n` +
      `witness a ${A} https://w.example/prefix//\n \twitness  b\t${B}  \n` +
      `witness c ${vkey('c', 'ml-dsa-44', 3)} http://127.0.0.1:7380\n` +
      '  # a comment\ngroup two 2 a b\ngroup top any two c\nquorum top',
  );
  assert.deepEqual(
    policy.logs.map(({ key, url }) => [key.name, key.type, url]),
    [
      ['log.example', 'ed25519', null],
      ['l2', 'ml-dsa-44', 'https://log.example/base'],
    ],
  );
  assert.deepEqual(
    policy.witnesses.map(({ name, key, url }) => [name, key.name, key.type, url]),
    [
      ['a', 'w0.example', 'cosigner', 'https://w.example/prefix'],
      ['b', 'w1.example', 'cosigner', null],
      ['c', 'c', 'ml-dsa-44', 'http://127.0.0.1:7380'],
    ],
  );
  assert.deepEqual(
    [...policy.groups],
    [
      ['two', { needed: 2, members: ['a', 'b'] }],
      ['top', { needed: 1, members: ['two', 'c'] }],
    ],
  );
  assert.equal(policy.quorum, 'top');
});

test('a policy may ask for nobody, with witnesses or without', () => {
  assert.deepEqual(parsePolicy('quorum none\n'), NO_WITNESSES);
  assert.equal(parsePolicy(`${AB}quorum none\n`).quorum, null);
  assert.ok(isSatisfied(NO_WITNESSES, new Set()));
});

test('forty witnesses, forty logs and groups of them are within bounds', () => {
  const lines = keys.map((key, i) => `witness w${i} ${key}\ngroup g${i} all w${i}`);
  const logs = keys.map((_, i) => `log ${vkey(`log${i}`, 'ed25519', 100 + i)}`);
  const all = keys.map((_, i) => `g${i}`).join(' ');
  const policy = parsePolicy([...logs, ...lines, `group g 40 ${all}`, 'quorum g'].join('\n'));
  assert.deepEqual([policy.witnesses.length, policy.groups.size, policy.logs.length], [40, 41, 40]);
});

test('names are opaque: a hash sign inside and letters beyond ascii are part of them', () => {
  const text = `witness a#1 ${A} https://w.example/x#y\nwitness \u212a ${B}\ngroup K all a#1 \u212a\nquorum K\n`;
  const policy = parsePolicy(text);
  assert.deepEqual(policy.groups.get('K')?.members, ['a#1', '\u212a']);
  refused(`${AB}group g all a b #c\nquorum g`, 3, /members defined before/);
  refused('quorum none # nobody', 1, /defined before, or none/);
  refused(`witness a\u00a0 ${A}\nquorum a`, 2, /defined before/);
});

test('a line that is none of the four is refused, with its number', () => {
  refused('logs x\nquorum none', 1, /log, witness, group or quorum/);
  refused('\n\nQuorum none', 3, /got "Quorum"/);
  refused('', 0, /a quorum line/);
  refused(AB, 0, /a quorum line/);
});

test('no control character but the tab is in a policy', () => {
  for (const character of ['\r', '\u0000', '\u000b', '\u000c', '\u001f', '\u007f'])
    refused(`\nquorum none${character}`, 2, /no control character/);
  refused('# a comment\r\nquorum none', 1, /no control character/);
  assert.ok(parsePolicy('\tquorum\tnone\t\n# caf\u00e9 \u0085\n'));
});

test('a log needs a key that can sign as one, once, and no more than a url', () => {
  refused('log\nquorum none', 1, /verifier key \(ed25519 or ml-dsa-44\).*nothing/);
  refused(`log ${A}\nquorum none`, 1, /verifier key/);
  refused('log x+y+z\nquorum none', 1, /verifier key/);
  refused(`log ${LOG} https://a b\nquorum none`, 1, /log <vkey> \[url\]/);
  refused(`log ${LOG}\nlog ${LOG}\nquorum none`, 2, /each key once/);
  refused(`log ${LOG}\nlog ${vkey('other', 'ed25519', 1)}\nquorum none`, 2, /each key once/);
});

test('a url is http or https', () => {
  for (const url of ['ftp://a', 'a.example/x', 'file:///x', 'javascript:0', 'https://']) {
    refused(`log ${LOG} ${url}\nquorum none`, 1, /http or https/);
    refused(`witness a ${A} ${url}\nquorum none`, 1, /http or https/);
  }
});

test('a witness needs a name and a cosigner key, each once, and no more than a url', () => {
  refused('witness\nquorum none', 1, /verifier key/);
  refused('witness a\nquorum none', 1, /verifier key \(cosigner or ml-dsa-44\)/);
  refused(`witness a ${LOG}\nquorum none`, 1, /verifier key/);
  refused(`witness a ${A} https://a b\nquorum none`, 1, /witness <name> <vkey> \[url\]/);
  refused(`witness none ${A}\nquorum none`, 1, /a new name/);
  refused(`witness a ${A}\nwitness a ${B}\nquorum a`, 2, /a new name/);
  refused(`witness a ${A}\nwitness b ${A}\nquorum a`, 2, /each key once/);
});

test('one key under two names is one key', () => {
  const twin = vkey('another.example', 'cosigner', 10);
  refused(`witness a ${A}\nwitness b ${twin}\ngroup g 2 a b\nquorum g`, 2, /w0\.example again/);
});

test('a group has a new name, a count and members of before, each in one group', () => {
  const after = (line: string): string => `${AB}${line}\nquorum none`;
  refused(after('group'), 3, /any, all or 1 to 0 members/);
  refused(after('group g'), 3, /any, all or 1 to 0/);
  for (const count of ['0', '3', '-1', '01', '1.0', '1e0', 'ANY', 'some', '99999'])
    refused(after(`group g ${count} a b`), 3, /any, all or 1 to 2/);
  for (const count of ['any', 'all', '1']) refused(after(`group g ${count}`), 3, /1 to 0 members/);
  refused(after('group g any a c'), 3, /members defined before/);
  refused(after('group g any g'), 3, /members defined before/);
  refused(after('group g any a none'), 3, /members defined before/);
  refused(after('group g any a a'), 3, /one group at most/);
  refused(after('group a any b'), 3, /a new name/);
  refused(after('group none any a'), 3, /a new name/);
  refused(after('group g any a\ngroup h any a b'), 4, /one group at most/);
  refused(after('group g any a\ngroup h any g\ngroup i any g'), 5, /one group at most/);
});

test('there is one quorum line, over a name of before', () => {
  refused('quorum', 1, /defined before, or none/);
  refused(`quorum a\n${AB}`, 1, /defined before, or none/);
  refused(`${AB}quorum a b`, 3, /defined before, or none/);
  refused(`${AB}quorum c`, 3, /defined before, or none/);
  refused(`${AB}quorum a\nquorum a`, 4, /one quorum line/);
  refused(`${AB}quorum none\nquorum a`, 4, /one quorum line/);
  assert.equal(parsePolicy(`${AB}quorum b`).quorum, 'b');
});

/** A policy as a tree: a witness's number, or how many of which are needed. */
type Node = number | { readonly needed: number; readonly members: readonly Node[] };

/** A random tree over witnesses 0 to `count - 1`, each used at most once. */
const treeArbitrary: fc.Arbitrary<Node> = fc
  .array(fc.tuple(fc.nat(100), fc.nat(100)), { minLength: 1, maxLength: 8 })
  .map((steps) => {
    const loose: Node[] = Array.from({ length: 7 }, (_, i) => i);
    for (const [size, needed] of steps) {
      const members = loose.splice(size % loose.length, 1 + (size % 4));
      loose.push({ needed: 1 + (needed % members.length), members });
    }
    return loose.at(-1)!;
  });

function policyOf(tree: Node): WitnessPolicy {
  const lines = Array.from({ length: 7 }, (_, i) => `witness w${i} ${keys[i]}`);
  let groups = 0;
  const nameOf = (node: Node): string => {
    if (typeof node === 'number') return `w${node}`;
    const members = node.members.map(nameOf);
    const name = `g${groups++}`;
    lines.push(`group ${name} ${node.needed} ${members.join(' ')}`);
    return name;
  };
  lines.push(`quorum ${nameOf(tree)}`);
  return parsePolicy(lines.join('\n'));
}

/** By definition, over the tree itself. */
function holds(node: Node, cosigned: ReadonlySet<number>): boolean {
  if (typeof node === 'number') return cosigned.has(node);
  let count = 0;
  for (const member of node.members) if (holds(member, cosigned)) count++;
  return count >= node.needed;
}

const subsets = Array.from(
  { length: 2 ** 7 },
  (_, bits) => new Set([0, 1, 2, 3, 4, 5, 6].filter((i) => (bits >> i) & 1)),
);
const named = (set: ReadonlySet<number>): Set<string> => new Set([...set].map((i) => `w${i}`));

test('a policy is satisfied by exactly the sets of witnesses that its groups say', () => {
  fc.assert(
    fc.property(treeArbitrary, (tree) => {
      const policy = policyOf(tree);
      for (const set of subsets) assert.equal(isSatisfied(policy, named(set)), holds(tree, set));
    }),
  );
});

test('the quorum time is the newest for which some sufficient set of witnesses vouches', () => {
  const timesArbitrary = fc.array(fc.option(fc.nat(5)), { minLength: 7, maxLength: 7 });
  fc.assert(
    fc.property(treeArbitrary, timesArbitrary, (tree, times) => {
      const known = new Map(
        times.flatMap((time, i) => (time === null ? [] : ([[i, time]] as const))),
      );
      // Brute force: of every sufficient set that cosigned, the oldest time; of these the newest.
      const vouched = subsets
        .filter((set) => set.size > 0 && holds(tree, set) && [...set].every((i) => known.has(i)))
        .map((set) => Math.min(...[...set].map((i) => known.get(i) ?? 0)));
      const expected = vouched.length === 0 ? undefined : Math.max(...vouched);
      const byName = new Map([...known].map(([i, time]) => [`w${i}`, time]));
      assert.equal(quorumTime(policyOf(tree), byName), expected);
    }),
    { numRuns: 300 },
  );
});

test('who asks for nobody has no quorum time, and strangers do not count', () => {
  assert.equal(quorumTime(NO_WITNESSES, new Map([['w0', 5]])), null);
  const policy = parsePolicy(`${AB}group g any a\nquorum g`);
  assert.equal(quorumTime(policy, new Map()), undefined);
  assert.equal(
    quorumTime(
      policy,
      new Map([
        ['b', 9],
        ['x', 9],
        ['g', 9],
      ]),
    ),
    undefined,
  );
  assert.equal(
    quorumTime(
      policy,
      new Map([
        ['b', 9],
        ['a', 3],
      ]),
    ),
    3,
  );
  assert.ok(!isSatisfied(policy, new Set(['g', 'b'])));
});
