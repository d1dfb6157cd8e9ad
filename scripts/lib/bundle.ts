/**
 * The program as few files: `bundle.ts FOLDER` bundles what `quorate` runs into FOLDER/program, with the
 * packages it is made of and their licences. Reading 550 small files is most of what a start takes; what the
 * package offers to programs stays as it was compiled. CommonJS, because Node links modules slowly and reads all that
 * its own export: importing `node:http` loads all of fetch. Finding a file and reading comments takes a start's time
 * too: what `quorate serve` runs is a handful of files without comments, and each thread has one file of its own.
 */
import { globSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { type OutputBundle, type OutputChunk, type OutputOptions, rolldown } from 'rolldown';
import { OUTSIDE } from './outside.ts';

const ROOT = resolve(import.meta.dirname, '../..');

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('expected a folder to write to, got none');
const target = resolve(folder, 'program');
const format: OutputOptions = {
  format: 'cjs',
  comments: false,
  plugins: [{ name: 'ascii', generateBundle: inAscii }],
};
/** What each module imports at once. */
const imports = new Map<string, readonly string[]>();
await using program = await rolldown({
  input: { main: source('src/cli/main.ts') },
  platform: 'node',
  external: OUTSIDE,
  preserveEntrySignatures: 'allow-extension',
  plugins: [
    {
      name: 'imports',
      buildEnd() {
        for (const id of this.getModuleIds())
          imports.set(id, this.getModuleInfo(id)?.importedIds ?? []);
      },
    },
  ],
});
const { output } = await program.write({
  ...format,
  dir: target,
  entryFileNames: '[name].cjs',
  chunkFileNames: '[name]-[hash].cjs',
  codeSplitting: {
    // No group needs what it imports besides: core imports nothing else, and the others are closed.
    includeDependenciesRecursively: false,
    groups: [
      {
        name: 'core',
        test: (id) =>
          id.startsWith(source('src/core/')) ||
          /\/node_modules\/(?:@noble|canonicalize)\//.test(id),
        priority: 2,
      },
      {
        name: 'command',
        test: isOf(['src/cli/main.ts'], { but: ['src/cli/main.ts'] }),
        priority: 1,
      },
      { name: 'server', test: isOf(['src/cli/commands/serve.ts', 'src/server/start.ts']) },
    ],
  },
});
const chunks: OutputChunk[] = output.filter((one) => one.type === 'chunk');
for (const file of globSync('src/**/*-{process,worker}.ts', { cwd: ROOT })) {
  await using worker = await rolldown({
    input: source(file),
    platform: 'node',
    external: OUTSIDE,
  });
  // Found beside the file that starts it.
  const [chunk] = (
    await worker.write({
      ...format,
      file: join(target, `${basename(file, '.ts')}.cjs`),
      codeSplitting: false,
    })
  ).output;
  chunks.push(chunk);
}
writeFileSync(join(target, 'LICENSES.txt'), licencesOf(chunks));

/** One letter beyond ASCII, and V8 takes two bytes for each of a file. They stand in texts and patterns alone. */
function inAscii(_: unknown, bundle: OutputBundle): void {
  for (const one of Object.values(bundle))
    if (one.type === 'chunk')
      one.code = one.code.replaceAll(
        /[\u0080-\uffff]/g,
        (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
      );
}

function source(file: string): string {
  return join(ROOT, file);
}

/** Whether a module is loaded at once with these files, and is none that is left out. */
function isOf(
  files: readonly string[],
  { but = [] }: { readonly but?: readonly string[] } = {},
): (id: string) => boolean {
  let ids: ReadonlySet<string> | undefined;
  return (id) => {
    // Known only once all have been read.
    ids ??= closureOf(files);
    return ids.has(id) && !but.some((file) => source(file) === id);
  };
}

function closureOf(files: readonly string[]): ReadonlySet<string> {
  const ids = new Set(files.map(source));
  for (const id of ids) for (const imported of imports.get(id) ?? []) ids.add(imported);
  return ids;
}

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
