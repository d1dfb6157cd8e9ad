/** The deployer's check on a made-up project: what it must refuse, and what it must not. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { checkInstalled } from '../../../examples/deployer/check.ts';
import { digestFiles } from '../../../examples/npm-lock/installed.ts';
import { descriptorsOf, readLockfile } from '../../../examples/npm-lock/lockfile.ts';
import type { Descriptor } from '../../../src/core/payload.ts';

const LOCKED = {
  '': { name: 'project', version: '1.0.0' },
  'node_modules/a': {
    version: '1.0.0',
    integrity: 'sha512-a',
    resolved: 'https://one.example/a.tgz',
  },
  'node_modules/@s/b': { version: '2.0.0', integrity: 'sha512-b', license: 'MIT' },
  'node_modules/@s/b/node_modules/a': { version: '0.9.0', integrity: 'sha512-old' },
  'node_modules/other-system': { version: '1.0.0', integrity: 'sha512-o', optional: true },
};

let project = '';

function write(path: string, content: unknown): void {
  mkdirSync(dirname(join(project, path)), { recursive: true });
  writeFileSync(
    join(project, path),
    typeof content === 'string' ? content : JSON.stringify(content),
  );
}

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'quorate-deployer-'));
  for (const file of ['package-lock.json', 'node_modules/.package-lock.json'])
    write(file, { packages: LOCKED });
  write('node_modules/a/package.json', { name: 'a', version: '1.0.0' });
  write('node_modules/@s/b/package.json', { name: '@s/b', version: '2.0.0' });
  write('node_modules/@s/b/node_modules/a/package.json', { name: 'a', version: '0.9.0' });
});

afterEach(() => rmSync(project, { recursive: true }));

function approved(): Descriptor[] {
  return descriptorsOf(readLockfile(join(project, 'package-lock.json')));
}

function findingsWith(descriptors: readonly Descriptor[]): readonly string[] {
  return checkInstalled(project, descriptors).findings;
}

test('a lockfile is one descriptor for each name and version, without where it came from', () => {
  assert.deepEqual(
    approved().map(({ id, spec }) => [id, spec]),
    [
      ['@s/b@2.0.0', { integrity: 'sha512-b', license: 'MIT' }],
      ['a@0.9.0', { integrity: 'sha512-old' }],
      ['a@1.0.0', { integrity: 'sha512-a' }],
      ['other-system@1.0.0', { integrity: 'sha512-o' }],
    ],
  );
});

test('a package locked to two contents is refused', () => {
  const twice = {
    ...LOCKED,
    'node_modules/@s/b/node_modules/a': { version: '1.0.0', integrity: 'sha512-other' },
  };
  write('package-lock.json', { packages: twice });
  assert.throws(approved, /expected a@1\.0\.0 to be locked to one content/);
});

test('what was approved and nothing else passes', () => {
  assert.deepEqual(checkInstalled(project, approved()), { checked: 3, findings: [] });
});

test('an installed package that nobody approved is refused', () => {
  write('node_modules/evil/package.json', { name: 'evil', version: '6.6.6' });
  assert.match(findingsWith(approved()).join(), /^evil@6\.6\.6 at .*never approved$/);
});

test('another version than the approved one is refused', () => {
  write('node_modules/a/package.json', { name: 'a', version: '1.0.1' });
  assert.match(findingsWith(approved()).join(), /^a@1\.0\.1 at .*never approved$/);
});

test('other content than the approved one is refused, in either lockfile', () => {
  const descriptors = approved();
  for (const file of ['package-lock.json', 'node_modules/.package-lock.json']) {
    write(file, {
      packages: { ...LOCKED, 'node_modules/a': { version: '1.0.0', integrity: 'sha512-evil' } },
    });
    assert.match(
      findingsWith(descriptors).join(),
      /^a@1\.0\.0 in .*approved as sha512-a, found sha512-evil/,
    );
  }
});

test('a package that came past the lockfile is known by its files', () => {
  write('node_modules/a/bin/tool', 'built');
  write('node_modules/brought/package.json', { name: 'brought', version: '1.0.0' });
  write('node_modules/brought/bin/tool', 'content');
  const files = digestFiles(join(project, 'node_modules/brought'));
  const descriptors = [
    ...approved(),
    { kind: 'npm-package', id: 'brought@1.0.0', spec: { files } },
  ];
  assert.deepEqual(findingsWith(descriptors), []);
  write('node_modules/brought/bin/tool', 'Content');
  assert.match(
    findingsWith(descriptors).join(),
    /^brought@1\.0\.0 at .*approved with files sha256-/,
  );
});
