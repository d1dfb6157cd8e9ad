#!/usr/bin/env node
/**
 * The command. It runs on any Node from 12.20 on, so that an old one is told what is missing: further
 * in there is syntax it does not know and a native module that crashes it.
 */
const REQUIRED = '24.14.1';
// A checkout runs its source, which is never out of date; a package has what was built: bundled, which starts
// in half the time, or as it was compiled.
const MAINS = ['../src/cli/main.ts', '../dist/program/main.cjs', '../dist/cli/main.js'];

function isOlder(version, required) {
  const have = version.split('.').map(Number);
  const want = required.split('.').map(Number);
  const i = want.findIndex((part, at) => part !== have[at]);
  return i !== -1 && have[i] < want[i];
}

function findMain() {
  const { existsSync } = process.getBuiltinModule('node:fs');
  const urls = MAINS.map((path) => new URL(path, import.meta.url));
  // Node does not strip types under node_modules.
  const isInstalled = import.meta.url.includes('/node_modules/');
  return urls.find((url) => existsSync(url) && !(isInstalled && url.pathname.endsWith('.ts')));
}

/** The bundle is required: an import would look at each of its files once more, and at all that Node itself exports. */
function load(main) {
  const { createRequire } = process.getBuiltinModule('node:module');
  if (main.pathname.endsWith('.cjs')) return createRequire(import.meta.url)(pathOf(main));
  return import(main.href);
}

function pathOf(url) {
  return process.getBuiltinModule('node:url').fileURLToPath(url);
}

function fail(message) {
  process.stderr.write(`quorate: ${message}\n`);
  process.exitCode = 1;
}

async function run() {
  if (isOlder(process.versions.node, REQUIRED))
    return fail(
      `expected Node.js ${REQUIRED} or newer, got ${process.versions.node}: see https://nodejs.org/en/download`,
    );
  const main = findMain();
  if (main === undefined)
    return fail(
      `expected the program in ${pathOf(new URL('../dist', import.meta.url))}, got nothing: install the package again`,
    );
  const program = await load(main);
  process.exitCode = await program.main(process.argv.slice(2));
}

run();
