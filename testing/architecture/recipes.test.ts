/** The TypeScript that pages show compiles against the package as it is, under the project's own strictness. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT, readText } from './sources.ts';

const PAGES = globSync(['*.md', 'docs/**/*.md', 'examples/**/*.md'], { cwd: ROOT });

interface Compilation {
  readonly exitCode: number | null;
  readonly output: string;
}

function recipesIn(text: string): string[] {
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = '']) => code);
}

function compile(recipes: readonly string[]): Compilation {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-recipes-'));
  try {
    recipes.forEach((code, i) => {
      writeFileSync(join(directory, `recipe-${i}.mts`), code);
    });
    writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(configuration()));
    const { status, stdout, stderr } = spawnSync(
      join(ROOT, 'node_modules/.bin/tsc'),
      ['-p', directory],
      { encoding: 'utf8' },
    );
    return { exitCode: status, output: stdout + stderr };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function configuration(): object {
  const face = (path: string): string[] => [join(ROOT, 'src', path)];
  return {
    extends: join(ROOT, 'tsconfig.json'),
    compilerOptions: {
      paths: {
        quorate: face('index.ts'),
        'quorate/client': face('client/index.ts'),
        'quorate/core': face('core/index.ts'),
      },
      typeRoots: [join(ROOT, 'node_modules/@types')],
    },
    include: ['*.mts'],
  };
}

test('every recipe in TypeScript compiles', () => {
  const recipes = PAGES.flatMap((page) => recipesIn(readText(page)));
  assert.ok(recipes.length > 0);
  assert.deepEqual(compile(recipes), { exitCode: 0, output: '' });
});

test('a recipe that uses what is not there does not compile', () => {
  const { exitCode, output } = compile([
    "import { noSuchThing } from 'quorate/client';\nnoSuchThing();\n",
  ]);
  assert.notEqual(exitCode, 0);
  assert.match(output, /noSuchThing/);
});
