/** The part of the house style that a machine can see: sizes, opening sentences, escapes from the type system. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OTHERS, ROOT, SOURCES } from './sources.ts';

const MAX_LINES = { source: 330, test: 500 };

type Refused = readonly (readonly [pattern: RegExp, why: string])[];

/** What no code may contain, and why. */
const REFUSED_IN_CODE: Refused = [
  [/(:|<|\bas|=>)\s*any\b/, 'any: give the type, or unknown and a check'],
  [/\bas unknown as\b/, 'a cast through unknown hides a wrong type'],
];

/** The same for code and comments. */
const REFUSED: Refused = [
  [/@ts-(ignore|expect-error|nocheck)/, 'a silenced compiler'],
  [
    /\b(TODO|FIXME|XXX|HACK)\b/,
    'a promise: do it, or write the hole down as BUG: with its consequence',
  ],
  [/^export default\b/m, 'a default export: names are given once'],
  [/\b(test|it|describe|suite)\.only\(/, 'a focused test'],
];

/** Platform globals that a layer which runs anywhere, with no clock and no I/O of its own, must not touch. */
const AMBIENT =
  /\b(Date\.now|Math\.random|performance\.|setTimeout|setInterval|process\.|Buffer\b|globalThis\.|fetch\()/;

function refusedIn(files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([file, text]) =>
    [
      ...REFUSED.filter(([pattern]) => pattern.test(text)),
      ...REFUSED_IN_CODE.filter(([pattern]) => pattern.test(code(text))),
    ].map(([, why]) => `${file}: ${why}`),
  );
}

/** Without comments and the text of plain strings. */
function code(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$|'(?:[^'\\\n]|\\.)*'/gm, "''");
}

function longerThan(files: ReadonlyMap<string, string>, max: number): string[] {
  return [...files]
    .map(([file, text]) => ({ file, lines: text.split('\n').length - 1 }))
    .filter(({ lines }) => lines > max)
    .map(({ file, lines }) => `${file}: ${lines} lines, at most ${max}`);
}

test(`a source file has at most ${MAX_LINES.source} lines, a test ${MAX_LINES.test}`, () => {
  assert.deepEqual(
    [...longerThan(SOURCES, MAX_LINES.source), ...longerThan(OTHERS, MAX_LINES.test)],
    [],
  );
});

test('a source file opens by saying what it is for', () => {
  const silent = [...SOURCES].filter(([, text]) => !/^(#!.*\n)?\/\*\*[\s\S]{20,}?\*\//.test(text));
  assert.deepEqual(
    silent.map(([file]) => file),
    [],
  );
});

test('no file escapes the type system, leaves a promise, or exports without a name', () => {
  // This file names what it looks for.
  const others = new Map([...OTHERS].filter(([file]) => !import.meta.filename.endsWith(file)));
  assert.deepEqual([...refusedIn(SOURCES), ...refusedIn(others)], []);
});

test('core touches no clock, no randomness and no platform', () => {
  const core = [...SOURCES].filter(([file]) => file.startsWith('core/'));
  assert.ok(core.length > 10);
  assert.deepEqual(
    core.filter(([, text]) => AMBIENT.test(code(text))).map(([file]) => file),
    [],
  );
});

test('bytes are Uint8Array, never Buffer, outside store, server and cli', () => {
  const portable = [...SOURCES].filter(([file]) => !/^(telemetry|store|server|cli)\//.test(file));
  assert.deepEqual(
    portable.filter(([, text]) => /\bBuffer\b/.test(code(text))).map(([file]) => file),
    [],
  );
});

test('no file names a path of the machine it was written on', () => {
  const named = [...SOURCES, ...OTHERS].filter(([, text]) => text.includes(`${ROOT}/`));
  assert.deepEqual(
    named.map(([file]) => file),
    [],
  );
});

test('what is refused is seen when it is there', () => {
  const planted = [
    'let x: any',
    'x as any',
    'f<any>()',
    'y as unknown as Z',
    '// @ts-ignore',
    `// ${'TO'}DO later`,
  ];
  for (const text of [...planted, 'export default 1', 'test.only('])
    assert.equal(refusedIn(new Map([['f', text]])).length, 1, text);
  for (const text of [
    'as anyone',
    'many: number',
    'import default1',
    'company: anyName',
    "text = 'empty: any'",
    '// as any other',
  ])
    assert.deepEqual(refusedIn(new Map([['f', text]])), [], text);
});
