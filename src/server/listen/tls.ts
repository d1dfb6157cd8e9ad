/**
 * The certificate of a listener: TLS 1.3 only, read again at a reload. New handshakes get the new one,
 * open connections live on; a pair that can not serve is refused as a whole, and the old one stays.
 */
import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { RegistryError } from '../../core/error.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Config } from '../config.ts';
import { readSmallFile } from '../private-file.ts';
import type { Reloadable } from '../reload.ts';

export interface TlsCertificate extends Reloadable {
  /** In use now. */
  readonly context: SecureContextOptions;
  /** Called with each certificate that is taken up later. */
  onChange(apply: (context: SecureContextOptions) => void): void;
}

export interface TlsParts {
  readonly metrics: Pick<Metrics, 'certificate'>;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

type Files = NonNullable<Config['tls']>;

interface Pair {
  readonly context: SecureContextOptions;
  readonly validFromMs: number;
  readonly validToMs: number;
}

/** `undefined` for plain HTTP. Throws `invalid_request`, naming the file and the remedy. */
export async function openTls(
  files: Config['tls'],
  parts: TlsParts,
): Promise<TlsCertificate | undefined> {
  return files === null ? undefined : new Certificate(await readPair(files), parts);
}

class Certificate implements TlsCertificate {
  readonly #parts: TlsParts;
  readonly #listeners: ((context: SecureContextOptions) => void)[] = [];
  #pair: Pair;

  constructor(pair: Pair, parts: TlsParts) {
    this.#parts = parts;
    this.#pair = pair;
    this.#announce();
  }

  get context(): SecureContextOptions {
    return this.#pair.context;
  }

  onChange(apply: (context: SecureContextOptions) => void): void {
    this.#listeners.push(apply);
  }

  async prepare({ tls }: Config): Promise<() => void> {
    // Whether there is TLS at all is decided at the start; `reload.ts` refuses that change itself.
    if (tls === null) return () => undefined;
    const pair = await readPair(tls);
    return () => {
      this.#pair = pair;
      for (const apply of this.#listeners) apply(pair.context);
      this.#announce();
    };
  }

  /** A clock may be wrong, so a certificate out of its time is told and served. */
  #announce(): void {
    const { metrics, log, now } = this.#parts;
    const { validFromMs, validToMs } = this.#pair;
    metrics.certificate(validToMs / 1000);
    const validity = {
      not_before: new Date(validFromMs).toISOString(),
      not_after: new Date(validToMs).toISOString(),
    };
    if (now() < validFromMs || now() > validToMs)
      log.warn('the certificate is not valid at this time: clients will refuse it', validity);
    else log.info('the certificate is in use', validity);
  }
}

async function readPair({ certPath, keyPath }: Files): Promise<Pair> {
  const [cert, key] = await Promise.all([
    readSmallFile({ path: certPath, what: 'a pem certificate', isPrivate: false }),
    readSmallFile({ path: keyPath, what: 'a pem private key', isPrivate: true }),
  ]);
  if (/^-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type:.*ENCRYPTED/m.test(key))
    throw new RegistryError(
      'invalid_request',
      `expected a pem private key without a passphrase at ${keyPath}, got an encrypted one: a service has nobody to ask for it`,
    );
  const leaf = parseCertificate(certPath, cert);
  const context: SecureContextOptions = { cert, key, minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' };
  assertServes(context, { certPath, keyPath });
  return {
    context,
    validFromMs: leaf.validFromDate.getTime(),
    validToMs: leaf.validToDate.getTime(),
  };
}

/** The first of the file, as OpenSSL takes it. */
function parseCertificate(path: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new RegistryError(
      'invalid_request',
      `expected a pem certificate at ${path}, got something else`,
      { cause },
    );
  }
}

/** OpenSSL's own words are left out: what they quote of a key is not known. */
function assertServes(context: SecureContextOptions, { certPath, keyPath }: Files): void {
  try {
    createSecureContext(context);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'an error';
    throw new RegistryError(
      'invalid_request',
      `expected ${keyPath} to be the private key of the certificate at ${certPath}, and both such that openssl serves them, got ${code}`,
    );
  }
}
