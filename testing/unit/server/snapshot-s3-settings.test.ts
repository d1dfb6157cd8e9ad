import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { test } from 'node:test';
import { parseS3Address } from '../../../src/server/snapshot/s3/address.ts';
import { s3Failure } from '../../../src/server/snapshot/s3/failure.ts';
import { S3_PACKAGES } from '../../../src/server/snapshot/s3/package.ts';
import { openS3Place } from '../../../src/server/snapshot/s3/place.ts';
import { readS3Settings } from '../../../src/server/snapshot/s3/settings.ts';
import { runCli } from '../../support/cli-io.ts';

test('an address names a bucket, and what stands before every name in it', () => {
  const cases = {
    's3://backup': { bucket: 'backup', prefix: '' },
    's3://backup/': { bucket: 'backup', prefix: '' },
    's3://my.bucket-1/a': { bucket: 'my.bucket-1', prefix: 'a/' },
    "s3://backup/a/B_c!*'(d)-.e/": { bucket: 'backup', prefix: "a/B_c!*'(d)-.e/" },
  };
  for (const [text, address] of Object.entries(cases))
    assert.deepEqual(parseS3Address(text), address);
});

test('an address that is not written as one is refused', () => {
  const long = 'x'.repeat(900);
  for (const text of [
    's3://',
    's3:///a',
    's3://ab',
    's3://Backup',
    's3://user:secret@bucket',
    's3://-bucket',
    's3://backup//a',
    's3://backup/a//',
    's3://backup/..',
    's3://backup/a/./b',
    's3://backup/a b',
    's3://backup/a?x=1',
    's3://backup/é',
    's3://backup/%41',
    `s3://backup/${long}`,
    'S3://backup',
    'https://backup',
  ])
    assert.throws(() => parseS3Address(text), { code: 'invalid_request' }, text);
  const short = () => parseS3Address('s3://x/y');
  assert.throws(short, /the bucket of 3 to 63 lower-case letters, .* got "?s3:\/\/x\/y/);
});

test('server and credentials come from the environment, the more particular name first', () => {
  const keys = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'key' };
  assert.deepEqual(readS3Settings({}), {
    endpoint: undefined,
    region: undefined,
    isPathStyle: false,
    credentials: undefined,
  });
  assert.deepEqual(readS3Settings({ ...keys, AWS_ENDPOINT_URL: 'http://a', AWS_REGION: '' }), {
    endpoint: 'http://a',
    region: 'us-east-1',
    isPathStyle: true,
    credentials: { accessKeyId: 'id', secretAccessKey: 'key' },
  });
  const all = {
    ...keys,
    AWS_SESSION_TOKEN: 'token',
    AWS_ENDPOINT_URL: 'http://a',
    AWS_ENDPOINT_URL_S3: 'https://b:9000/base',
    AWS_DEFAULT_REGION: 'eu-west-1',
    QUORATE_S3_PATH_STYLE: 'false',
  };
  assert.deepEqual(readS3Settings(all), {
    endpoint: 'https://b:9000/base',
    region: 'eu-west-1',
    isPathStyle: false,
    credentials: { accessKeyId: 'id', secretAccessKey: 'key', sessionToken: 'token' },
  });
  // The region of a profile is the package's to read.
  assert.equal(
    readS3Settings({ AWS_ENDPOINT_URL: 'http://a', AWS_PROFILE: 'p' }).region,
    undefined,
  );
});

test('settings that mean nothing are refused, and not quoted', () => {
  for (const env of [
    { AWS_ACCESS_KEY_ID: 'hidden' },
    { AWS_SECRET_ACCESS_KEY: 'hidden' },
    { AWS_ENDPOINT_URL_S3: 'http://user:hidden@host' },
    { AWS_ENDPOINT_URL_S3: 'http://host/?hidden' },
    { AWS_ENDPOINT_URL: 'hidden' },
    { AWS_ENDPOINT_URL: 'ftp://hidden' },
    { QUORATE_S3_PATH_STYLE: 'hidden' },
  ])
    assert.throws(
      () => readS3Settings(env),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'invalid_request');
        assert.doesNotMatch(error.message, /hidden/);
        return true;
      },
      JSON.stringify(env),
    );
});

/** While it lasts, the package is not installed; or only one that exports nothing. */
function hidePackage(instead?: string) {
  const hooks = registerHooks({
    resolve: (specifier, context, next) => {
      if (!(specifier in S3_PACKAGES)) return next(specifier, context);
      if (instead !== undefined) return { url: instead, shortCircuit: true };
      const missing = new Error(`Cannot find package '${specifier}'`);
      throw Object.assign(missing, { code: 'ERR_MODULE_NOT_FOUND' });
    },
  });
  return { [Symbol.dispose]: () => hooks.deregister() };
}

const WORLD = { env: {}, signal: new AbortController().signal, now: Date.now };

test('without the optional package a place in S3 says what to install, and a directory needs none', async () => {
  using _ = hidePackage();
  await assert.rejects(openS3Place('s3://backup', WORLD), {
    code: 'invalid_request',
    message: /got none: `npm install "@aws-sdk\/client-s3@\^3\./,
  });
  const listed = await runCli(['snapshot', 'list', 's3://backup']);
  assert.equal(listed.code, 1);
  assert.match(listed.stderr, /npm install "@aws-sdk\/client-s3@/);
  assert.equal((await runCli(['snapshot', 'list', import.meta.dirname])).code, 0);
});

test('with a package of another version a place in S3 says so', async () => {
  using _ = hidePackage('data:text/javascript,export const S4=1');
  await assert.rejects(openS3Place('s3://backup', WORLD), { message: /got another version: `npm/ });
});

test('what is to be installed is an optional peer of the package', () => {
  const manifest: {
    readonly peerDependencies: Record<string, string>;
    readonly peerDependenciesMeta: Record<string, { readonly optional: boolean }>;
  } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
  for (const [name, range] of Object.entries(S3_PACKAGES)) {
    assert.equal(manifest.peerDependencies[name], range);
    assert.equal(manifest.peerDependenciesMeta[name]?.optional, true);
  }
});

function refusal(name: string, status?: number, members: object = {}): Error {
  const $metadata = { httpStatusCode: status };
  const shown = status === undefined ? {} : { $metadata };
  return Object.assign(new Error('secret text'), { name, ...shown, ...members });
}

test('a refusal has a code of ours, what S3 called it, and nothing of its text', () => {
  const cases: readonly (readonly [Error, string, RegExp])[] = [
    [refusal('NoSuchBucket', 404), 'not_found', /NoSuchBucket \(404\): make the bucket/],
    [refusal('NoSuchKey', 404), 'not_found', /NoSuchKey \(404\)/],
    [refusal('AccessDenied', 403), 'forbidden', /AccessDenied \(403\)/],
    [refusal('RequestTimeTooSkewed', 403), 'forbidden', /clock/],
    [refusal('PermanentRedirect', 301), 'invalid_request', /AWS_REGION/],
    [refusal('AuthorizationHeaderMalformed', 400), 'invalid_request', /AWS_REGION/],
    [refusal('CredentialsProviderError'), 'invalid_request', /AWS_ACCESS_KEY_ID/],
    [refusal('PreconditionFailed', 412), 'conflict', /PreconditionFailed/],
    [refusal('SlowDown', 503), 'unavailable', /SlowDown \(503\)/],
    [refusal('InternalError', 200), 'unavailable', /InternalError \(200\)/],
    [refusal('TimeoutError'), 'unavailable', /TimeoutError: try again/],
    [refusal('Error', undefined, { code: 'ECONNRESET' }), 'unavailable', /ECONNRESET: is it/],
    [refusal('Error', undefined, { code: 'CERT_HAS_EXPIRED' }), 'unavailable', /CERT_HAS/],
    [refusal('SyntaxError', 200), 'unexpected_answer', /SyntaxError \(200\)/],
    [refusal('Error', undefined, { code: 'HPE_INVALID_CONSTANT' }), 'unexpected_answer', /HPE/],
    [refusal('<b>\u001b[31m', 400), 'unexpected_answer', /got an error \(400\)/],
  ];
  for (const [cause, code, message] of cases) {
    const told = s3Failure(cause, 'to list s3://backup');
    assert.equal(told.code, code, cause.name);
    assert.match(told.message, /^expected to list s3:\/\/backup, got /);
    assert.match(told.message, message);
    assert.doesNotMatch(`${told.message}${JSON.stringify(told.details)}`, /secret text/);
    assert.equal(told.cause, undefined);
  }
});
