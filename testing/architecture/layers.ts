/** The layer rule as data, and the functions that hold source files against it. Reads no files itself. */
import { posix } from 'node:path';

interface Layer {
  /** Folders of `src/` it may import, itself aside. */
  readonly layers: readonly string[];
  /** Packages it may import. */
  readonly npm: readonly string[];
  /** Packages that may be missing: imported only when they are needed. */
  readonly optional?: readonly string[];
  /** Whether it may import `node:` modules; what may not also runs in a browser. */
  readonly node: boolean;
}

/** Bottom to top: a row names only rows above itself in this list. */
export const LAYERS: Readonly<Record<string, Layer>> = {
  core: { layers: [], npm: ['@noble/ed25519', '@noble/hashes', 'canonicalize'], node: false },
  telemetry: { layers: [], npm: ['prom-client'], node: true },
  api: { layers: ['core'], npm: ['zod', 'zod-openapi'], node: false },
  store: { layers: ['core', 'telemetry'], npm: ['better-sqlite3'], node: true },
  client: { layers: ['core', 'api'], npm: ['eventsource-parser'], node: false },
  console: { layers: ['core', 'api', 'client'], npm: [], node: false },
  registry: { layers: ['core', 'telemetry', 'store', 'client'], npm: [], node: false },
  http: { layers: ['core', 'telemetry', 'api', 'registry'], npm: ['hono'], node: false },
  server: {
    layers: ['core', 'telemetry', 'api', 'store', 'client', 'registry', 'http'],
    npm: ['@biscuit-auth/biscuit-wasm', '@hono/node-server', 'smol-toml', 'pino', 'zod'],
    optional: [
      '@aws-sdk/client-s3',
      '@opentelemetry/api',
      '@opentelemetry/context-async-hooks',
      '@opentelemetry/exporter-trace-otlp-http',
      '@opentelemetry/sdk-trace',
    ],
    node: true,
  },
  cli: { layers: ['core', 'client', 'server'], npm: ['commander'], node: true },
};

/** Paths under `src/` (`core/hash.ts`) to what they import, as written. */
export type ImportGraph = ReadonlyMap<string, readonly string[]>;

const STATIC = /^\s*(?:import|export)\s(?:[^'";]*?\sfrom\s*)?['"]([^'"]+)['"]/gm;
const DYNAMIC = /\bimport\s*\(\s*['"]([^'"]+)['"]/g;

/** Every specifier a source file imports or exports from, those of types included. */
export function importsOf(source: string): string[] {
  return [STATIC, DYNAMIC].flatMap((pattern) =>
    [...source.matchAll(pattern)].map((m) => m[1] ?? ''),
  );
}

/** What the file imports against its layer's row, one line each. */
export function breachesOf(file: string, specifiers: readonly string[]): string[] {
  const [from = '', ...rest] = file.split('/');
  // The package's face stands above all layers.
  if (rest.length === 0) return [];
  const row = LAYERS[from];
  if (row === undefined) return [`${file}: ${from} is no layer`];
  return specifiers.flatMap((specifier) => {
    const reason = refusal(row, { from, file, specifier });
    return reason === undefined ? [] : [`${file} imports ${specifier}: ${reason}`];
  });
}

function refusal(
  row: Layer,
  { from, file, specifier }: { from: string; file: string; specifier: string },
): string | undefined {
  if (specifier.startsWith('node:'))
    return row.node ? undefined : `${from} imports nothing of node`;
  if (!specifier.startsWith('.')) {
    const [scope = '', name = ''] = specifier.split('/');
    const npm = scope.startsWith('@') ? `${scope}/${name}` : scope;
    return row.npm.includes(npm) || row.optional?.includes(npm) === true
      ? undefined
      : `${npm} is not in the row of ${from}`;
  }
  const [to = ''] = resolveImport(file, specifier).split('/');
  if (!/\.(ts|json)$/.test(specifier)) return 'a relative import names the file with its ending';
  return to === from || row.layers.includes(to) ? undefined : `${to} is not in the row of ${from}`;
}

/** The first circle of files, as the way round it; `undefined` when there is none. */
export function circleIn(graph: ImportGraph): readonly string[] | undefined {
  const done = new Set<string>();
  const walk = (file: string, way: readonly string[]): readonly string[] | undefined => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const specifier of graph.get(file) ?? []) {
      if (!specifier.startsWith('.')) continue;
      const circle = walk(resolveImport(file, specifier), [...way, file]);
      if (circle !== undefined) return circle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const circle = walk(file, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

function resolveImport(file: string, specifier: string): string {
  return posix.join(posix.dirname(file), specifier);
}
