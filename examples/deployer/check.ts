/**
 * What stands in node_modules, held against what was approved. A tarball's hash cannot be recomputed
 * from unpacked files, so the lockfile integrity of each package (npm's own record of what it
 * installed, and the project's lockfile) is compared with the approved one, and each package on disk
 * must be an approved one. Packages that no lockfile names are recomputed from their files.
 */
import { join } from 'node:path';
import type { Descriptor } from '../../src/client/index.ts';
import { digestFiles, installedIn } from '../npm-lock/installed.ts';
import { KIND, packageId, readLockfile } from '../npm-lock/lockfile.ts';

export interface Check {
  /** Packages found on disk. */
  readonly checked: number;
  /** Each names a package and what is wrong with it. */
  readonly findings: readonly string[];
}

type Specs = ReadonlyMap<string, Descriptor['spec']>;

const LOCKFILES = ['package-lock.json', 'node_modules/.package-lock.json'];

export function checkInstalled(project: string, approved: readonly Descriptor[]): Check {
  const specs = new Map(
    approved.filter(({ kind }) => kind === KIND).map(({ id, spec }) => [id, spec]),
  );
  const installed = installedIn(project);
  return {
    checked: installed.length,
    findings: [
      ...LOCKFILES.flatMap((file) => checkLockfile(join(project, file), specs)),
      ...installed.flatMap(({ id, place }) =>
        checkFiles(join(project, place), { id, spec: specs.get(id) }),
      ),
    ],
  };
}

function checkLockfile(lockfile: string, specs: Specs): string[] {
  return [...readLockfile(lockfile)].flatMap(([place, locked]) => {
    const id = packageId(place, locked);
    const integrity = specs.get(id)?.integrity;
    if (integrity === undefined) return [`${id} in ${lockfile}: never approved`];
    if (integrity === locked.integrity) return [];
    return [`${id} in ${lockfile}: approved as ${integrity}, found ${locked.integrity}`];
  });
}

function checkFiles(
  directory: string,
  { id, spec }: { id: string; spec: Descriptor['spec'] | undefined },
): string[] {
  if (spec === undefined) return [`${id} at ${directory}: never approved`];
  if (spec.files === undefined) return [];
  const found = digestFiles(directory);
  return found === spec.files
    ? []
    : [`${id} at ${directory}: approved with files ${spec.files}, found ${found}`];
}
