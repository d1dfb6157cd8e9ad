/**
 * What a server for S3 refuses, as the registry's codes and in words that help. Of its answer only the code
 * and the status are told: its text is a stranger's, and repeats what was signed. The error of the package
 * holds the request with its signature and session token, so it is no `cause` of ours.
 */
import { type ErrorCode, RegistryError } from '../../../core/error.ts';

interface Refusal {
  /** Of S3, of the system, or of the package. */
  readonly name: string;
  readonly status: number | undefined;
}

type Verdict = readonly [code: ErrorCode, remedy: string];

const REGIONS = ['PermanentRedirect', 'AuthorizationHeaderMalformed', 'RegionIsMissing'];
/** Some come with the status 200, when work began before it failed. */
const PASSING = [
  'InternalError',
  'ServiceUnavailable',
  'SlowDown',
  'RequestTimeout',
  'TimeoutError',
];
/** Of node: the connection, the name or the certificate. */
const CONNECTION = /^(E[A-Z0-9_]+|.*CERT.*|.*SIGNATURE_FAILURE)$/;

/** `expected`: what was tried, such as `to list s3://backup`. What is an error of ours stays as it is. */
export function s3Failure(cause: unknown, expected: string): RegistryError {
  if (cause instanceof RegistryError) return cause;
  const refusal = refusalOf(cause);
  const [code, remedy] = verdictOn(refusal);
  const status = refusal.status === undefined ? '' : ` (${refusal.status})`;
  return new RegistryError(code, `expected ${expected}, got ${refusal.name}${status}: ${remedy}`, {
    details: { place: 's3' },
  });
}

export function unexpectedAnswer(expected: string, got: string): RegistryError {
  return new RegistryError(
    'unexpected_answer',
    `expected ${expected} from the server for S3, got ${got}`,
  );
}

export function isUnavailable(error: unknown): error is RegistryError {
  return error instanceof RegistryError && error.code === 'unavailable';
}

export function isMissing(cause: unknown): boolean {
  const { name, status } = refusalOf(cause);
  return status === 404 && name !== 'NoSuchBucket';
}

export function statusOf(cause: unknown): number | undefined {
  return refusalOf(cause).status;
}

function verdictOn({ name, status = 0 }: Refusal): Verdict {
  if (name === 'CredentialsProviderError')
    return ['invalid_request', 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE'];
  if (REGIONS.includes(name) || status === 301 || status === 307)
    return ['invalid_request', 'set AWS_REGION to the region of the bucket'];
  if (name === 'NoSuchBucket') return ['not_found', 'make the bucket, or correct its name'];
  if (status === 404) return ['not_found', 'is it the right bucket, prefix and name?'];
  if (name === 'RequestTimeTooSkewed') return ['forbidden', 'set the clock of this machine'];
  if (status === 401 || status === 403)
    return ['forbidden', 'are the credentials right, and do they allow it?'];
  if (status === 409 || status === 412) return ['conflict', 'somebody else wrote it meanwhile'];
  if (status === 429 || status >= 500 || PASSING.includes(name))
    return ['unavailable', 'try again later'];
  if (status === 0 && CONNECTION.test(name))
    return ['unavailable', 'is it running, and is AWS_ENDPOINT_URL_S3 right?'];
  return ['unexpected_answer', 'is it a server for S3, and does it allow this?'];
}

function refusalOf(cause: unknown): Refusal {
  if (!(cause instanceof Error)) return { name: 'an error', status: undefined };
  if (cause.message.startsWith('Region is missing'))
    return { name: 'RegionIsMissing', status: undefined };
  const found = '$metadata' in cause ? cause.$metadata : undefined;
  const status = hasStatus(found) ? found.httpStatusCode : undefined;
  const code = 'code' in cause && status === undefined ? cause.code : cause.name;
  const name = typeof code === 'string' && /^[A-Za-z0-9_]{1,64}$/.test(code) ? code : 'an error';
  return { name, status };
}

function hasStatus(value: unknown): value is { readonly httpStatusCode: number } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'httpStatusCode' in value &&
    typeof value.httpStatusCode === 'number'
  );
}
