/** The pages keep their word: links lead somewhere, paths exist, and each promise names a test that is there. */
import assert from 'node:assert/strict';
import { existsSync, globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { ROOT, readText } from './sources.ts';

const PAGES = globSync(['*.md', 'docs/**/*.md', 'examples/**/*.md'], { cwd: ROOT }).sort();

const LINK = /\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)/g;
const PATH = /`((?:src|testing|scripts|examples|docs|bin|\.ci)\/[A-Za-z0-9._/-]*[A-Za-z0-9])[/`]/g;
/** `testing/....test.ts` followed by the test's name in double quotes. */
const SHOWN_BY = /`(testing\/[^`]+\.test\.ts)`[:,]?\s+"([^"]+)"/g;

function matches(text: string, pattern: RegExp): string[][] {
  return [...text.matchAll(pattern)].map(([, ...groups]) => groups);
}

/** Rows of the table under a heading, cells trimmed, without the two rows of its head. */
function rowsUnder(page: string, heading: string): string[][] {
  const [, section = ''] = readText(page).split(`\n## ${heading}\n`);
  return section
    .split('\n## ')[0]!
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

function unshown(rows: readonly (readonly string[])[]): string[] {
  return rows.flatMap((cells) => {
    const shown = matches(cells.at(-1) ?? '', SHOWN_BY);
    if (shown.length === 0) return [`no test is named for: ${cells[0]}`];
    return shown
      .filter(
        ([file = '', name = '']) => !existsSync(join(ROOT, file)) || !hasTest(readText(file), name),
      )
      .map(([file, name]) => `${file} has no test "${name}"`);
  });
}

/** A name that a test makes up from values (`${count} times ...`) stands for all that it can become. */
function hasTest(source: string, name: string): boolean {
  const names = [...source.matchAll(/\b(?:test|it)\(\s*(['"`])((?:\\.|(?!\1).)*)\1/g)];
  return names.some(([, quote, text = '']) => {
    const parts = quote === '`' ? text.split(/\$\{[^}]*\}/) : [text.replaceAll('\\', '')];
    return new RegExp(`^${parts.map(literally).join('.+')}$`).test(name);
  });
}

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

test('every link between pages leads to a file', () => {
  assert.ok(PAGES.length > 0);
  for (const page of PAGES)
    for (const [target = ''] of matches(readText(page), LINK))
      assert.ok(existsSync(join(ROOT, dirname(page), target)), `${page} links to ${target}`);
});

test('every path of the project that a page names exists', () => {
  for (const page of PAGES)
    for (const [path = ''] of matches(readText(page), PATH))
      assert.ok(existsSync(join(ROOT, path)), `${page} names ${path}`);
});

for (const [page, heading] of [
  ['README.md', 'What holds today'],
  ['SECURITY.md', 'What is defended today'],
] as const)
  test(`each row of "${heading}" in ${page} names a test that exists`, () => {
    const rows = rowsUnder(page, heading);
    assert.ok(rows.length >= 5, `expected a table of at least 5 rows, got ${rows.length}`);
    assert.deepEqual(unshown(rows), []);
  });

test('a test is found by its name, made-up parts included, and by no other', () => {
  const source = `test('it\\'s one', () => {}); test(\`\${count} of many\`, run); test(\n  'three',`;
  for (const name of ["it's one", '50 of many', 'three']) assert.ok(hasTest(source, name), name);
  for (const name of ['one', 'of many', 'thre', '50 of manys'])
    assert.ok(!hasTest(source, name), name);
});

test('a row without a test, or with one that is not there, is seen', () => {
  assert.equal(unshown([['promise', 'trust us']]).length, 1);
  assert.equal(
    unshown([['promise', '`testing/architecture/documents.test.ts` "no such test"']]).length,
    1,
  );
  assert.equal(unshown([['promise', '`testing/nowhere.test.ts` "any"']]).length, 1);
  assert.deepEqual(
    unshown([
      [
        'promise',
        '`testing/architecture/documents.test.ts` "every link between pages leads to a file"',
      ],
    ]),
    [],
  );
});
