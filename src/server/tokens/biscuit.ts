/**
 * The Biscuit library, loaded when first asked for: its own entry prints on standard output and needs
 * a flagged import of WebAssembly, so its module is instantiated here, with nothing to print to.
 */
import { readFile } from 'node:fs/promises';

export type Biscuit = typeof import('@biscuit-auth/biscuit-wasm');

interface Glue extends Biscuit {
  readonly __wbg_set_wasm: (exports: WebAssembly.Exports) => void;
  readonly [name: string]: unknown;
}

/** The glue keeps its instance in a variable of its module: a second one would pull it from under the first. */
let loading: Promise<Biscuit> | undefined;

export function loadBiscuit(): Promise<Biscuit> {
  loading ??= instantiate();
  return loading;
}

async function instantiate(): Promise<Biscuit> {
  const entry = import.meta.resolve('@biscuit-auth/biscuit-wasm');
  const glue: Glue = await import(new URL('./biscuit_bg.js', entry).href);
  const bytes = await readFile(new URL('./biscuit_bg.wasm', entry));
  const module = await WebAssembly.compile(Uint8Array.from(bytes));
  const { exports } = await WebAssembly.instantiate(module, importsOf(module, glue));
  glue.__wbg_set_wasm(exports);
  const { __wbindgen_start: start } = exports;
  if (typeof start === 'function') start();
  return glue;
}

const PRINTS = /^__wbg_(?:log|debug|info|warn|error)_/;

function importsOf(module: WebAssembly.Module, glue: Glue): WebAssembly.Imports {
  const imports: Record<string, Record<string, WebAssembly.ImportValue>> = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    imports[from] ??= {};
    imports[from][name] = importOf(name, glue);
  }
  return imports;
}

function importOf(name: string, glue: Glue): () => unknown {
  if (PRINTS.test(name)) return () => undefined;
  if (name === 'performance_now') return spentMs;
  const found = glue[name];
  if (!isFunction(found))
    throw new Error(`expected ${name} in the glue of the token library, got none`);
  return found;
}

/** The library's limit is on its own work: on a busy machine nothing it was asked becomes too much. */
function spentMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function isFunction(value: unknown): value is () => unknown {
  return typeof value === 'function';
}
