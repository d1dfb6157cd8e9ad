/**
 * Which server, and who asks: from the environment, under the names that every program for S3 takes. What is
 * not set there the package finds as others do: in the files of AWS, or from the machine it runs on.
 */
import { RegistryError } from '../../../core/error.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface S3Settings {
  /** `undefined`: that of AWS in the region. */
  readonly endpoint: string | undefined;
  /** `undefined`: what a profile of AWS says. */
  readonly region: string | undefined;
  /** Whether the bucket stands in the path, not in the name of the host. */
  readonly isPathStyle: boolean;
  /** `undefined`: what the package finds. */
  readonly credentials: S3Credentials | undefined;
}

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Asked of servers that know no regions; it only has to be the same on both sides. */
const ANY_REGION = 'us-east-1';

/** Throws `invalid_request`, which quotes nothing: a secret may stand in the wrong place. */
export function readS3Settings(env: Environment): S3Settings {
  const endpoint = endpointOf(env);
  return {
    endpoint,
    region:
      (env.AWS_REGION || env.AWS_DEFAULT_REGION || undefined) ??
      (endpoint === undefined || env.AWS_PROFILE ? undefined : ANY_REGION),
    isPathStyle: pathStyleOf(env) ?? endpoint !== undefined,
    credentials: credentialsOf(env),
  };
}

function endpointOf(env: Environment): string | undefined {
  const text = env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL || undefined;
  if (text === undefined) return undefined;
  const url = URL.parse(text);
  const isPlain =
    url !== null &&
    /^https?:$/.test(url.protocol) &&
    `${url.username}${url.password}${url.search}${url.hash}` === '';
  if (isPlain) return text;
  throw invalid('an http(s) URL without user, query or fragment in AWS_ENDPOINT_URL_S3', 'another');
}

function pathStyleOf({ QUORATE_S3_PATH_STYLE: text }: Environment): boolean | undefined {
  if (text === undefined || text === '') return undefined;
  if (text === 'true' || text === 'false') return text === 'true';
  throw invalid('true or false in QUORATE_S3_PATH_STYLE', 'something else');
}

function credentialsOf(env: Environment): S3Credentials | undefined {
  const accessKeyId = env.AWS_ACCESS_KEY_ID || undefined;
  const secretAccessKey = env.AWS_SECRET_ACCESS_KEY || undefined;
  const sessionToken = env.AWS_SESSION_TOKEN || undefined;
  if (accessKeyId === undefined && secretAccessKey === undefined) return undefined;
  if (accessKeyId === undefined || secretAccessKey === undefined)
    throw invalid('both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY', 'one of them');
  return { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
}

function invalid(expected: string, got: string): RegistryError {
  return new RegistryError('invalid_request', `expected ${expected}, got ${got}`);
}
