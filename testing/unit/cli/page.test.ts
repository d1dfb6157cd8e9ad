/** docs/cli.md says what the program does: its reference is the program's own, and every exit code is there. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { EXIT } from '../../../src/cli/failure.ts';
import { loadedProgram, referenceOf } from '../../support/cli-reference.ts';

const page = readFileSync(join(import.meta.dirname, '../../../docs/cli.md'), 'utf8');

test('the page names every command, argument and option as the program does', async () => {
  const [, reference = ''] = page.split('\n## Reference\n\n');
  const hint =
    'after a change: node testing/support/cli-reference.ts prints what stands under Reference';
  assert.equal(reference.trim(), referenceOf(await loadedProgram()), hint);
});

test('the page names every exit code, in its order', () => {
  const rows = [...page.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code));
  assert.deepEqual(rows, Object.values(EXIT));
});

test('the page names every environment variable that stands in for an option', async () => {
  const program = await loadedProgram();
  const named = [...program.options, ...program.commands.flatMap((command) => command.options)]
    .map(
      ({ description }) =>
        /\((QUORATE_(?:URL|REGISTRY|STATE|WITNESS_POLICY|MAX_STALE|CONFIG))\b/.exec(
          description,
        )?.[1],
    )
    .filter((name) => name !== undefined);
  assert.equal(new Set(named).size, 6);
  for (const name of named) assert.ok(page.includes(`| \`${name}\` |`), name);
});
