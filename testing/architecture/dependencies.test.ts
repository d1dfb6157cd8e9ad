/** What the package brings with it: few direct dependencies, nothing that runs at install time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LAYERS } from './layers.ts';
import { readText } from './sources.ts';

interface LockedPackage {
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
  readonly license?: string;
}

interface Manifest {
  readonly dependencies: Record<string, string>;
  readonly devDependencies: Record<string, string>;
  readonly peerDependencies: Record<string, string>;
  readonly peerDependenciesMeta: Record<string, { readonly optional?: boolean }>;
}

const manifest: Manifest = JSON.parse(readText('package.json'));
const lock: { readonly packages: Record<string, LockedPackage & Partial<Manifest>> } = JSON.parse(
  readText('package-lock.json'),
);
const runtime = Object.entries(lock.packages).filter(
  ([path, { dev }]) => path !== '' && dev !== true,
);

test('the lockfile is the one of package.json', () => {
  const { dependencies, devDependencies } = manifest;
  const locked: Partial<Manifest> = lock.packages[''] ?? {};
  assert.deepEqual([locked.dependencies, locked.devDependencies], [dependencies, devDependencies]);
});

test('there are at most 15 direct runtime dependencies', () => {
  assert.ok(Object.keys(manifest.dependencies).length <= 15);
});

test('every runtime dependency is in the row of a layer, and every row names runtime dependencies', () => {
  const allowed = new Set(Object.values(LAYERS).flatMap(({ npm }) => npm));
  assert.deepEqual([...allowed].sort(), Object.keys(manifest.dependencies).sort());
});

test('a package that may be missing is an optional peer, and every peer is in the row of a layer', () => {
  const allowed = new Set(Object.values(LAYERS).flatMap(({ optional = [] }) => optional));
  // The peer of these peers: npm installs it with them.
  allowed.delete('@opentelemetry/api');
  assert.deepEqual([...allowed].sort(), Object.keys(manifest.peerDependencies).sort());
  for (const name of allowed) assert.equal(manifest.peerDependenciesMeta[name]?.optional, true);
});

test('nothing in the runtime tree runs at install time', () => {
  assert.ok(runtime.length >= Object.keys(manifest.dependencies).length);
  assert.deepEqual(
    runtime.filter(([, { hasInstallScript }]) => hasInstallScript === true).map(([path]) => path),
    [],
  );
  // The flag is written at all: the development tree has one such package, node itself.
  assert.equal(lock.packages['node_modules/node']?.hasInstallScript, true);
});

test('every package of the runtime tree has a permissive licence', () => {
  const odd = runtime.filter(
    ([, { license }]) => !/^\(?(MIT|ISC|Apache-2\.0|BSD-[23]-Clause|0BSD)\b/.test(license ?? ''),
  );
  assert.deepEqual(
    odd.map(([path, { license }]) => `${path}: ${license}`),
    [],
  );
});
