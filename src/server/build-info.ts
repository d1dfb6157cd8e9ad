/** Which program this is: read from the package, which is one folder up from `src` and from `dist`. */
import { readFileSync } from 'node:fs';

export interface BuildInfo {
  readonly version: string;
  /** The commit it was built from: a package does not know it. */
  readonly revision: null;
}

export function readBuildInfo(): BuildInfo {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return { version, revision: null };
}
