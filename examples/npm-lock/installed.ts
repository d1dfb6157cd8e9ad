/** What really stands in node_modules, whatever a lockfile says. */
import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface InstalledPackage {
  /** `node_modules/...` */
  readonly place: string;
  /** `name@version`, as the package itself says. */
  readonly id: string;
}

const MANIFESTS = 'node_modules/{*,@*/*,**/node_modules/*,**/node_modules/@*/*}/package.json';

export function installedIn(project: string): InstalledPackage[] {
  return globSync(MANIFESTS, { cwd: project })
    .sort()
    .map((file) => ({
      place: file.slice(0, -'/package.json'.length),
      manifest: readManifest(join(project, file)),
    }))
    .filter(({ manifest }) => manifest.name !== undefined && manifest.version !== undefined)
    .map(({ place, manifest }) => ({ place, id: `${manifest.name}@${manifest.version}` }));
}

/** SHA-256 over the sorted lines `<sha256 of the file>  <path>`, of every file but those of packages inside it. */
export function digestFiles(directory: string): string {
  const digest = createHash('sha256');
  const files = globSync('**/*', {
    cwd: directory,
    withFileTypes: true,
    exclude: ['node_modules/**'],
  });
  const paths = files
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  for (const path of paths.sort()) {
    const content = createHash('sha256').update(readFileSync(path)).digest('hex');
    digest.update(`${content}  ${path.slice(directory.length + 1)}\n`);
  }
  return `sha256-${digest.digest('base64')}`;
}

function readManifest(path: string): { readonly name?: string; readonly version?: string } {
  return JSON.parse(readFileSync(path, 'utf8'));
}
