/**
 * The Biscuit library, loaded when first asked for. Its own entry prints on standard output and needs a
 * flagged import of WebAssembly, so its module is instantiated here, with nothing to print to. It also
 * forgets to free some KiB with every authorization, so an instance that has grown gives way to a new one.
 */
import { readFile } from 'node:fs/promises';
import { findPackageJSON } from 'node:module';
import { pathToFileURL } from 'node:url';
import { RegistryError } from '../../core/error.ts';

export type Biscuit = typeof import('@biscuit-auth/biscuit-wasm');

interface Glue extends Biscuit {
  readonly __wbg_set_wasm: (exports: object) => void;
  readonly [name: string]: unknown;
}

/** One of its own has 2 MiB; an authorization leaves some 12 KiB behind. */
const MAX_MEMORY_BYTES = 16 * 1024 * 1024;

export class TokenLibrary {
  readonly #glue: Glue;
  readonly #module: WebAssembly.Module;
  #memory: WebAssembly.Memory;
  #depth = 0;
  #isBroken = false;

  constructor(glue: Glue, module: WebAssembly.Module) {
    this.#glue = glue;
    this.#module = module;
    this.#memory = instantiate(glue, module);
  }

  /** `work` frees the objects that it makes, and none leaves it: they are part of an instance. */
  use<T>(work: (biscuit: Biscuit) => T): T {
    if (this.#depth === 0 && (this.#isBroken || this.memoryBytes > MAX_MEMORY_BYTES)) this.#renew();
    this.#depth++;
    try {
      return work(this.#glue);
    } catch (error) {
      // A panic leaves an instance half-way, and comes as one of several errors: what the instance held can not
      // always be freed then. Its refusals are plain objects.
      if (error instanceof Error && !(error instanceof RegistryError)) this.#isBroken = true;
      throw error;
    } finally {
      this.#depth--;
    }
  }

  get memoryBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  #renew(): void {
    // The glue keeps views of the memory until they are detached, which growing it does, even by nothing.
    this.#memory.grow(0);
    this.#memory = instantiate(this.#glue, this.#module);
    this.#isBroken = false;
  }
}

/** The glue keeps its instance in a variable of its module: there is one library in a process. */
let loading: Promise<TokenLibrary> | undefined;

export function loadLibrary(): Promise<TokenLibrary> {
  loading ??= load();
  return loading;
}

async function load(): Promise<TokenLibrary> {
  // Not by its entry: the bundled program is CommonJS, for which the package names none.
  const description = findPackageJSON('@biscuit-auth/biscuit-wasm', import.meta.url);
  if (description === undefined) throw new Error('expected the token library, got no such package');
  const root = pathToFileURL(description);
  const glue: Glue = await import(new URL('./module/biscuit_bg.js', root).href);
  const bytes = await readFile(new URL('./module/biscuit_bg.wasm', root));
  return new TokenLibrary(glue, await WebAssembly.compile(Uint8Array.from(bytes)));
}

function instantiate(glue: Glue, module: WebAssembly.Module): WebAssembly.Memory {
  const { exports } = new WebAssembly.Instance(module, importsOf(module, glue));
  const { memory, __wbindgen_start: start } = exports;
  if (!(memory instanceof WebAssembly.Memory) || !isFunction(start))
    throw new Error('expected the memory and the start of the token library, got none');
  glue.__wbg_set_wasm(withoutFinalizers(exports));
  start();
  return memory;
}

/** An object that nobody freed is freed by the garbage collector, by then perhaps in another instance's memory. */
function withoutFinalizers(exports: WebAssembly.Exports): object {
  const kept = Object.entries(exports).map(([name, value]) => {
    if (!/^__wbg_\w+_free$/.test(name) || !isFunction(value)) return [name, value];
    const free = (pointer: number, isFinalizer: number) =>
      isFinalizer === 1 ? undefined : value(pointer, isFinalizer);
    return [name, free];
  });
  return Object.fromEntries(kept);
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

function importOf(name: string, glue: Glue): (...values: never[]) => unknown {
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

function isFunction(value: unknown): value is (...values: unknown[]) => unknown {
  return typeof value === 'function';
}
