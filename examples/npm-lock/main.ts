/**
 * Prints the packages of a project as descriptors, one JSON object a line, for `quorate plan -f -`:
 * those that its lockfile names, and those that an install script brought past the lockfile, which
 * only their files can tell apart. Usage: node examples/npm-lock/main.ts [PROJECT]
 */
import { join } from 'node:path';
import { canonicalText } from '../../src/core/canonical.ts';
import { compareKeys, type Descriptor } from '../../src/core/payload.ts';
import { digestFiles, installedIn } from './installed.ts';
import { descriptorsOf, KIND, readLockfile } from './lockfile.ts';

const [project = '.'] = process.argv.slice(2);
const locked = descriptorsOf(readLockfile(join(project, 'package-lock.json')));
const known = new Set(locked.map(({ id }) => id));
const unlocked = installedIn(project)
  .filter(({ id }) => !known.has(id))
  .map(
    ({ id, place }): Descriptor => ({
      kind: KIND,
      id,
      spec: { files: digestFiles(join(project, place)) },
    }),
  );
console.log([...locked, ...unlocked].sort(compareKeys).map(canonicalText).join('\n'));
