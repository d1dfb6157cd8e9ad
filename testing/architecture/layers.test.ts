/** A folder of src/ imports only what its row allows, and no file imports itself by a detour. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { breachesOf, circleIn, importsOf, LAYERS } from './layers.ts';
import { SOURCES } from './sources.ts';

const graph = new Map([...SOURCES].map(([file, source]) => [file, importsOf(source)]));

test('a layer names only layers below itself', () => {
  const order = Object.keys(LAYERS);
  for (const [name, { layers }] of Object.entries(LAYERS))
    for (const below of layers)
      assert.ok(order.indexOf(below) < order.indexOf(name), `${name} names ${below}`);
});

test('every import in src/ stands in the row of its layer', () => {
  assert.deepEqual(
    [...graph].flatMap(([file, specifiers]) => breachesOf(file, specifiers)),
    [],
  );
});

test('no file in src/ imports itself by a detour, type imports included', () => {
  assert.equal(circleIn(graph)?.join(' -> '), undefined);
});

test('every import in src/ leads to a file', () => {
  for (const [file, specifiers] of graph)
    for (const specifier of specifiers.filter((s) => s.startsWith('.')))
      assert.ok(
        SOURCES.has(new URL(specifier, `file:///${file}`).pathname.slice(1)),
        `${file} imports ${specifier}`,
      );
});

test('imports of every form are seen', () => {
  const source = [
    "import a from 'one';",
    "import { b } from 'two';",
    "import type { C } from 'three';",
    "import {\n  d,\n  type E,\n} from 'four';",
    "import 'five';",
    "export * from 'six';",
    "export type { F } from 'seven';",
    "import * as g from 'eight';",
    "const h = await import('nine');",
  ].join('\n');
  assert.deepEqual(importsOf(source), [
    'one',
    'two',
    'three',
    'four',
    'five',
    'six',
    'seven',
    'eight',
    'nine',
  ]);
  assert.deepEqual(importsOf("const text = 'import nothing from here';\n// from 'there'\n"), []);
});

test('an import that a row does not allow is a breach', () => {
  const breaches = (file: string, specifier: string): number =>
    breachesOf(file, [specifier]).length;
  assert.equal(breaches('core/hash.ts', '../store/store.ts'), 1);
  assert.equal(breaches('http/app.ts', '../store/store.ts'), 1);
  assert.equal(breaches('core/hash.ts', 'node:crypto'), 1);
  assert.equal(breaches('core/hash.ts', 'zod'), 1);
  assert.equal(breaches('core/hash.ts', './time'), 1);
  assert.equal(breaches('elsewhere/file.ts', './time.ts'), 1);
  assert.equal(breaches('core/hash.ts', '@noble/hashes/blake3.js'), 0);
  assert.equal(breaches('store/sqlite.ts', 'node:fs'), 0);
  assert.equal(breaches('store/sqlite.ts', '../core/hash.ts'), 0);
});

test('a circle over three files is found', () => {
  const ring = new Map([
    ['core/a.ts', ['./b.ts']],
    ['core/b.ts', ['./c.ts', 'zod']],
    ['core/c.ts', ['./a.ts']],
  ]);
  assert.deepEqual(circleIn(ring), ['core/a.ts', 'core/b.ts', 'core/c.ts', 'core/a.ts']);
  assert.equal(circleIn(new Map([...ring, ['core/c.ts', []]])), undefined);
});
