/** Core is for browsers too: what the web has is enough, which is shown by taking the rest away. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const CORE = join(import.meta.dirname, '../../../src/core');
const VECTORS = join(import.meta.dirname, '../../conformance/vectors/wire-vectors.json');

test('no file of core names a module or a global that only node has', () => {
  const files = globSync('*.ts', { cwd: CORE });
  assert.ok(files.length > 15, `${files.length} files`);
  const nodeOnly =
    /\b(Buffer|process|global|require|__dirname|__filename|setImmediate)\b|['"]node:/;
  for (const file of files) {
    const code = readFileSync(join(CORE, file), 'utf8')
      .replace(/\/\*[\s\S]*?\*\//g, '')
      .replace(/\/\/.*$/gm, '');
    assert.doesNotMatch(code, nodeOnly, file);
  }
});

test('core verifies a registry where there is no Buffer, no process and no require', () => {
  const script = `
    import { readFileSync } from 'node:fs';
    const { entries } = JSON.parse(readFileSync(${JSON.stringify(VECTORS)}, 'utf8'));
    const log = console.log;
    for (const name of ['Buffer', 'process', 'global', 'setImmediate']) delete globalThis[name];
    const core = await import(${JSON.stringify(`file://${join(CORE, 'index.ts')}`)});
    const verifier = core.createPortableVerifier();
    const bytes = (text) => new TextEncoder().encode(text);
    let chain = null;
    for (const { leaf, payload, approvals } of entries) {
      const entry = { leaf: bytes(leaf), payload: bytes(payload), approvals: bytes(approvals) };
      ({ chain } = await core.verifyEntry(chain, entry, { verifier, isCommitted: () => false }));
    }
    log([typeof Buffer, typeof process, chain.version, chain.entryHash].join(' '));
  `;
  const said = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  });
  const { entries } = JSON.parse(readFileSync(VECTORS, 'utf8'));
  const head = entries.at(-1);
  assert.equal(said.trim(), `undefined undefined ${head.version} ${head.entry_hash}`);
});
