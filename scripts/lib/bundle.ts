/**
 * The program as few files: `bundle.ts FOLDER` bundles what `quorate` runs into FOLDER/program, with the
 * packages it is made of and their licences. Reading 550 small files is most of what a start takes; what the
 * package offers to programs stays as it was compiled. CommonJS, because Node links modules slowly and reads all that
 * its own export: importing `node:http` loads all of fetch. Of the 0.24 s that a start took beyond that of bare
 * node:http it takes a third.
 */
import { globSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { type OutputChunk, rolldown } from 'rolldown';

const ROOT = resolve(import.meta.dirname, '../..');

/** Native, or its own WebAssembly beside it, or there only where spans are sent or snapshots go to S3. */
const OUTSIDE = [
  /^node:/,
  'better-sqlite3',
  '@biscuit-auth/biscuit-wasm',
  /^@opentelemetry\/(?!api$)/,
  /^@aws-sdk\//,
];

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('expected a folder to write to, got none');
const target = resolve(folder, 'program');
const workers = globSync('src/**/*-worker.ts', { cwd: ROOT });
await using bundle = await rolldown({
  // Workers are found beside the file that starts them, so everything lies in one folder.
  input: Object.fromEntries(
    ['src/cli/main.ts', ...workers].map((file) => [basename(file, '.ts'), join(ROOT, file)]),
  ),
  platform: 'node',
  external: OUTSIDE,
});
const { output } = await bundle.write({
  dir: target,
  format: 'cjs',
  entryFileNames: '[name].cjs',
  chunkFileNames: '[name]-[hash].cjs',
});
writeFileSync(join(target, 'LICENSES.txt'), licencesOf(output.filter((o) => o.type === 'chunk')));

function licencesOf(chunks: readonly OutputChunk[]): string {
  const packages = new Set(
    chunks.flatMap(({ moduleIds }) => moduleIds.flatMap((id) => packageOf(id) ?? [])),
  );
  const texts = [...packages].sort().map((name) => {
    const directory = join(ROOT, 'node_modules', name);
    const { version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
    const licence = readdirSync(directory).find((file) => /^(?:un)?licen[cs]e/i.test(file));
    if (licence === undefined) throw new Error(`expected a licence in ${directory}, got none`);
    const text = readFileSync(join(directory, licence), 'utf8').trim();
    return `${name} ${version}\n\n${text}\n`;
  });
  return `The program holds these packages.\n\n${texts.join(`\n${'-'.repeat(78)}\n\n`)}`;
}

/** The innermost package that a module is of. */
function packageOf(id: string): string | undefined {
  return /^.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1];
}
