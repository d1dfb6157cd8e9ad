/** The optional package that speaks S3, imported only for a place that is `s3://`: most registries need none. */
import { RegistryError } from '../../../core/error.ts';

/** What an operator installs. A peer dependency of the package. */
export const S3_PACKAGES: Readonly<Record<string, string>> = {
  '@aws-sdk/client-s3': '^3.1169.0',
};

export type S3Client = import('@aws-sdk/client-s3').S3;

/** Throws `invalid_request`, naming what to install. */
export async function loadS3(): Promise<typeof import('@aws-sdk/client-s3')> {
  const loaded = await import('@aws-sdk/client-s3').catch((cause: unknown) => {
    throw notInstalled('none', cause);
  });
  if (typeof loaded.S3 !== 'function') throw notInstalled('another version');
  return loaded;
}

function notInstalled(got: string, cause?: unknown): RegistryError {
  const packages = Object.entries(S3_PACKAGES).map(([name, range]) => `"${name}@${range}"`);
  return new RegistryError(
    'invalid_request',
    `expected the optional package for S3, which a place s3:// needs, got ${got}: \`npm install ${packages.join(' ')}\` beside quorate`,
    { cause },
  );
}
