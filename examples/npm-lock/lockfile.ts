/** Reads an npm lockfile (version 2 or 3) as descriptors: what was locked, not where it came from. */
import { readFileSync } from 'node:fs';
import { canonicalText } from '../../src/core/canonical.ts';
import { compareKeys, type Descriptor } from '../../src/core/payload.ts';

export interface LockedPackage {
  /** An alias's real name; otherwise the name is the path's last part. */
  readonly name?: string;
  readonly version?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly hasInstallScript?: boolean;
  readonly link?: boolean;
  readonly optional?: boolean;
}

/** `node_modules/...` to what is locked there; the project itself and links are left out. */
export type Lockfile = ReadonlyMap<string, LockedPackage>;

export const KIND = 'npm-package';

export function readLockfile(path: string): Lockfile {
  const { packages }: { packages?: Record<string, LockedPackage> } = JSON.parse(
    readFileSync(path, 'utf8'),
  );
  if (packages === undefined)
    throw new Error(`expected an npm lockfile with packages (lockfileVersion 2 or 3) at ${path}`);
  return new Map(
    Object.entries(packages).filter(
      ([place, locked]) => place.includes('node_modules/') && locked.link !== true,
    ),
  );
}

/** `name@version`. */
export function packageId(place: string, { name, version }: LockedPackage): string {
  return `${name ?? place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length)}@${version}`;
}

/** Sorted, one for each `name@version`, wherever and however often it is installed. */
export function descriptorsOf(lockfile: Lockfile): Descriptor[] {
  const found = new Map<string, Descriptor>();
  for (const [place, locked] of lockfile) {
    const descriptor = { kind: KIND, id: packageId(place, locked), spec: specOf(place, locked) };
    const known = found.get(descriptor.id);
    if (known !== undefined && canonicalText(known) !== canonicalText(descriptor))
      throw new Error(`expected ${descriptor.id} to be locked to one content, got two`);
    found.set(descriptor.id, descriptor);
  }
  return [...found.values()].sort(compareKeys);
}

/**
 * What a signer should look at: the bytes (`integrity`), the licence, what it brings along, and
 * whether it runs code when installed. `resolved` is left out: a mirror serves the same bytes.
 */
function specOf(place: string, locked: LockedPackage): Descriptor['spec'] {
  const { integrity, license, dependencies, hasInstallScript } = locked;
  if (integrity === undefined) throw new Error(`expected an integrity for ${place}, got none`);
  return {
    integrity,
    ...(license === undefined ? {} : { license }),
    ...(dependencies === undefined ? {} : { dependencies }),
    ...(hasInstallScript === true ? { hasInstallScript } : {}),
  };
}
