import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonDifferences } from '../../../src/cli/json-difference.ts';
import { valueHashOf } from '../../../src/cli/plan.ts';
import { showChanges } from '../../../src/cli/show-changes.ts';
import { asciiJson, plural, relativeTime, showJson, table } from '../../../src/cli/text.ts';
import { canonicalText, type Json, type JsonObject } from '../../../src/core/canonical.ts';
import type { Change } from '../../../src/core/payload.ts';

const plain = (_tone: string, text: string) => text;
const text = fc.string({ unit: 'binary', maxLength: 12 }).filter((s) => s.isWellFormed());
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    text,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(text, tie('value'), { maxKeys: 3, noNullPrototype: true }),
  ),
})).value as fc.Arbitrary<Json>;
const spec = fc.dictionary(text, json, {
  maxKeys: 4,
  noNullPrototype: true,
}) as fc.Arbitrary<JsonObject>;

/** Undoes `\u{...}`. After an odd number of backslashes it is the text itself that says so. */
function unescaped(shown: string): Json {
  const plainText = shown.replace(
    /(?<!\\)((?:\\\\)*)\\u\{([0-9a-f]+)\}/g,
    (_, slashes: string, hex: string) =>
      `${slashes}${String.fromCodePoint(Number.parseInt(hex, 16))}`,
  );
  return JSON.parse(plainText);
}

test('shown JSON is printable ASCII and says exactly the value', () => {
  fc.assert(
    fc.property(json, (value) => {
      const shown = showJson(value);
      assert.match(shown, /^[\x20-\x7e]*$/);
      assert.equal(canonicalText(unescaped(shown)), canonicalText(value));
    }),
  );
});

test('indented JSON is ASCII and still JSON', () => {
  fc.assert(
    fc.property(json, (value) => {
      const shown = asciiJson(value);
      assert.match(shown, /^[\x20-\x7e\n]*$/);
      assert.deepEqual(JSON.parse(shown), JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('text that spells an escape is not taken for one', () => {
  assert.equal(showJson('\\u{e9}'), '"\\\\u{e9}"');
  assert.equal(unescaped(showJson('\\u{e9}\u00e9')), '\\u{e9}\u00e9');
});

test('text that would turn or hide itself in a terminal is shown as code points', () => {
  assert.equal(
    showJson('a\u202eb\u200b\u001b[2J\u00e9'),
    '"a\\u{202e}b\\u{200b}\\u001b[2J\\u{e9}"',
  );
});

test('values differ exactly where a difference is named', () => {
  fc.assert(
    fc.property(json, json, (before, after) => {
      const differences = jsonDifferences(before, after);
      assert.equal(differences.length === 0, canonicalText(before) === canonicalText(after));
      for (const { before: old, after: next } of differences) assert.notDeepEqual(old, next);
    }),
  );
});

test('differences are named by pointers, down to the member', () => {
  const before = { port: 1, tags: ['x', 'y'], 'a/b': { '~': 1 } };
  const after = { port: 2, tags: ['x'], 'a/b': { '~': 2 }, extra: null };
  assert.deepEqual(jsonDifferences(before, after), [
    { pointer: '/port', before: 1, after: 2 },
    { pointer: '/tags/1', before: 'y', after: undefined },
    { pointer: '/a~1b/~0', before: 1, after: 2 },
    { pointer: '/extra', before: undefined, after: null },
  ]);
  assert.deepEqual(jsonDifferences([], {}), [{ pointer: '', before: [], after: {} }]);
});

test('every value that a change brings or takes away is on the screen', () => {
  fc.assert(
    fc.property(spec, spec, (before, after) => {
      const old = { kind: 'service', id: 'a', spec: before };
      const put: Change = { op: 'put', kind: 'service', id: 'a', spec: after, replaces: null };
      const remove: Change = { op: 'remove', kind: 'service', id: 'a', replaces: valueHashOf(old) };
      const added = showChanges([put], { current: () => null, style: plain });
      const removed = showChanges([remove], { current: () => old, style: plain });
      for (const [shown, whole] of [
        [added, after],
        [removed, before],
      ] as const)
        assert.deepEqual(
          shown.slice(1).map(memberOf),
          Object.entries(whole).map(([name, value]) => [name, value]),
        );
    }),
  );
});

function memberOf(line: string): [string, Json] {
  const [, shown = ''] = /^ {4}[+-] (.*)$/.exec(line) ?? [];
  // The name ends at the first quote that no backslash precedes.
  const [name = ''] = /^"(?:[^"\\]|\\.)*"/.exec(shown) ?? [];
  return [String(unescaped(name)), unescaped(shown.slice(name.length + 2))];
}

test('a change is shown against what stands there, or by its fence where that is not known', () => {
  const old = { kind: 'service', id: 'a', spec: { port: 1, host: 'x' } };
  const replaces = valueHashOf(old);
  const put: Change = {
    op: 'put',
    kind: 'service',
    id: 'a',
    spec: { port: 2, host: 'x' },
    replaces,
  };
  const same: Change = { op: 'put', ...old, replaces };
  const remove: Change = { op: 'remove', kind: 'service', id: 'a', replaces };
  const show = (change: Change, before: typeof old | null | undefined) =>
    showChanges([change], { current: () => before, style: plain });
  assert.deepEqual(show(put, old), ['~ service/a', '    - "port": 1', '    + "port": 2']);
  assert.deepEqual(show(put, undefined), [
    '~ service/a',
    `    replaces ${replaces}`,
    '    + "port": 2',
    '    + "host": "x"',
  ]);
  assert.deepEqual(show(same, old), ['= service/a']);
  assert.deepEqual(show(remove, undefined), ['- service/a', `    replaces ${replaces}`]);
});

test('columns line up, and the last one is not padded', () => {
  assert.equal(
    table([
      ['a', 'bb', 'c'],
      ['aaa', 'b', 'ccc'],
    ]),
    'a    bb  c\naaa  b   ccc',
  );
});

test('times are told from now, rounded down', () => {
  const now = Date.parse('2026-11-21T09:00:00.000Z');
  const told = [0, 59_000, 60_000, -3_600_000, 86_400_000 * 2 - 1].map((ms) =>
    relativeTime(now + ms, now),
  );
  assert.deepEqual(told, [
    'in 0 seconds',
    'in 59 seconds',
    'in 1 minute',
    '1 hour ago',
    'in 2 days',
  ]);
  assert.equal(plural(1, 'entry', 'entries'), '1 entry');
});
