import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import type { Command } from 'commander';
import { runCli } from '../../support/cli-io.ts';
import { loadedProgram } from '../../support/cli-reference.ts';

/** What bash offers for a line whose last word is being typed. */
function complete(script: string, ...words: readonly string[]): string[] {
  const line = words.map((word) => `'${word}'`).join(' ');
  const run = `${script}\nCOMP_WORDS=(quorate ${line}); COMP_CWORD=${words.length}; _quorate; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const output = execFileSync('bash', ['-c', run], { encoding: 'utf8' });
  return output.split('\n').filter((word) => word !== '');
}

async function scriptFor(shell: string): Promise<string> {
  const { code, stdout } = await runCli(['completion', shell]);
  assert.equal(code, 0);
  return stdout;
}

test('bash is offered the commands, what is below them, and their options', async () => {
  const script = await scriptFor('bash');
  assert.deepEqual(complete(script, 'pro'), ['propose', 'proposals', 'proof']);
  assert.deepEqual(complete(script, 'signers', 'r'), ['remove', 'rotate']);
  assert.deepEqual(complete(script, 'signers', 'rotate', '--th'), ['--threshold']);
  assert.deepEqual(complete(script, '--json', 'init', 'commit', '--da'), ['--data']);
  assert.deepEqual(complete(script, 'head', '--reg'), ['--registry']);
  // Nothing fits: bash goes on with file names.
  assert.deepEqual(complete(script, 'plan', 'x'), []);
});

for (const shell of ['bash', 'zsh', 'fish'])
  test(`the script for ${shell} names every command and every option`, async () => {
    const script = await scriptFor(shell);
    const program = await loadedProgram();
    const names = (command: Command): string[] => [
      ...command.commands.flatMap((child) => [child.name(), ...names(child)]),
      ...command.options.map((option) => (option.long ?? '').replace(/^--/, '')),
    ];
    assert.ok(names(program).length > 60);
    for (const name of names(program)) assert.ok(script.includes(name), name);
  });

test('another shell is a usage error', async () => {
  const { code, stderr } = await runCli(['completion', 'cmd']);
  assert.equal(code, 2);
  assert.match(stderr, /Allowed choices are bash, zsh, fish/);
});
