/** Configurations that a server can really be started with: files, sockets and ports of which some can not be used. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { RIGHT } from './config-draws.ts';
import { logKeyFile } from './log-key-file.ts';
import type { CertificateFiles } from './server-certificates.ts';

/**
 * Nothing; what one setting names, which can not be used; the value of one setting, which is none; or,
 * perhaps, several of both.
 */
export const SPOILED = ['nothing', 'use', 'value', 'several'] as const;
type Spoiled = (typeof SPOILED)[number];

export interface StartDraw {
  readonly flags: Readonly<Record<string, string>>;
  /** Its own: what a start leaves, it leaves here. */
  readonly directory: string;
  readonly spoiled: Spoiled;
}

/** What a setting can be. */
interface Choice {
  readonly right: readonly string[];
  /** Right as a value, and what it names can not be used. */
  readonly useless: readonly string[];
  /** Refused as a value. */
  readonly wrong: readonly string[];
}

/** Settings that only say how much or how long: any right value will do, but it must not stop the questions. */
const HARMLESS = [
  'socket_mode',
  'trusted_proxies',
  'recosign_interval',
  'clock_interval',
  'max_pending_proposals',
  'max_writes_per_minute',
  'max_token_writes_per_minute',
  'max_streams',
  'max_stream_age',
  'shed_storage_after',
  'keep_alive_timeout',
  'headers_timeout',
  'request_timeout',
] as const;

const GARBAGE = 'what is this?\n';

export class ConfigWorld {
  readonly #root: string;
  readonly #files: Readonly<Record<string, string>>;
  readonly #certificates: CertificateFiles;
  readonly #taken: Server;

  private constructor(root: string, certificates: CertificateFiles, taken: Server) {
    this.#root = root;
    this.#certificates = certificates;
    this.#taken = taken;
    const make = (name: string, content: string, mode = 0o600) => {
      const path = join(root, name);
      writeFileSync(path, content);
      chmodSync(path, mode);
      return path;
    };
    const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
    this.#files = {
      garbage: make('garbage', GARBAGE),
      open: make('open.pem', String(pem), 0o644),
      key: make('key.pem', String(pem)),
      revocations: make('revocations', `${'0f'.repeat(64)}\n`),
      policy: make('policy', 'quorum none\n'),
      missing: join(root, 'none/none'),
    };
  }

  static async open(t: TestContext, certificates: CertificateFiles): Promise<ConfigWorld> {
    const root = mkdtempSync(join(tmpdir(), 'q-fuzz-'));
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    t.after(() => {
      taken.close();
      rmSync(root, { recursive: true });
    });
    return new ConfigWorld(root, certificates, taken);
  }

  /** What a start was pointed at by mistake is still what it was. */
  assertUntouched(): void {
    assert.equal(readFileSync(this.#files.garbage ?? '', 'utf8'), GARBAGE);
  }

  draw(random: () => number, spoiled: Spoiled): StartDraw {
    const pick = <T>(values: readonly T[]): T => {
      const value = values[Math.floor(random() * values.length)];
      if (value === undefined) throw new Error('expected something to pick from');
      return value;
    };
    const directory = mkdtempSync(join(this.#root, 'd-'));
    const profile = pick(['micronode', 'micronode', 'micronode', 'macronode']);
    const flags: Record<string, string> = { profile, log_level: 'silent', drain_timeout: '1s' };
    if (profile === 'macronode') flags.data = join(directory, 'data');
    for (const key of HARMLESS) if (random() < 0.3) flags[key] = pick(RIGHT[key]);
    const choices = Object.entries(this.#choices(directory));
    const isOne = spoiled === 'use' || spoiled === 'value';
    const badOf = ({ useless, wrong }: Choice) =>
      ({ nothing: [], use: useless, value: wrong, several: [...useless, ...wrong] })[spoiled];
    const one = isOne && pick(choices.filter(([, choice]) => badOf(choice).length > 0))[0];
    for (const [key, choice] of choices) {
      const isHere = key === one || (spoiled === 'several' && random() < 0.15);
      flags[key] = pick(isHere ? badOf(choice) : choice.right);
    }
    if (random() < 0.3)
      Object.assign(flags, this.#tls(spoiled === 'several' ? pick(['half', 'garbage']) : 'good'));
    return { flags, directory, spoiled };
  }

  #choices(directory: string): Readonly<Record<string, Choice>> {
    const {
      garbage = '',
      open = '',
      key = '',
      revocations = '',
      policy = '',
      missing = '',
    } = this.#files;
    const address = this.#taken.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const taken = `127.0.0.1:${port}`;
    return {
      listen: {
        right: ['127.0.0.1:0', 'localhost:0', `unix:${join(directory, 'api.sock')}`],
        useless: [taken, '192.0.2.1:0', 'unix:/dev/null/x', `unix:${missing}`, `unix:${garbage}`],
        wrong: ['nowhere'],
      },
      metrics_listen: {
        right: ['off', '127.0.0.1:0'],
        useless: [taken, '192.0.2.1:0'],
        wrong: ['nowhere'],
      },
      operator_listen: {
        right: ['off', join(directory, 'op.sock')],
        useless: [missing, garbage, '/dev/null/x', directory],
        wrong: ['a\0'],
      },
      token_key: {
        right: ['', tokenKey()],
        useless: [`ed25519/${'0'.repeat(64)}`, `ed25519/${'f'.repeat(64)}`],
        wrong: ['ed25519/0'],
      },
      token_revocations: {
        right: ['', revocations],
        useless: [missing, garbage, directory],
        wrong: [],
      },
      log_key: {
        right: ['', logKeyFile()],
        useless: [
          missing,
          garbage,
          open,
          directory,
          'exec:false',
          `${logKeyFile()},${logKeyFile()}`,
        ],
        wrong: [','],
      },
      clock_key: {
        right: ['', key],
        useless: [missing, garbage, open, 'exec:/none/none'],
        wrong: ['a,b'],
      },
      witness_policy: { right: ['', policy], useless: [missing, garbage, directory], wrong: [] },
      max_inflight: { right: ['64'], useless: [], wrong: ['1', 'many'] },
    };
  }

  #tls(kind: 'good' | 'half' | 'garbage'): Readonly<Record<string, string>> {
    const { certPath, keyPath } = this.#certificates;
    if (kind === 'half') return { tls_cert: certPath };
    return { tls_cert: certPath, tls_key: kind === 'good' ? keyPath : (this.#files.garbage ?? '') };
  }
}

function tokenKey(): string {
  const { x = '' } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
  return `ed25519/${Buffer.from(x, 'base64url').toString('hex')}`;
}
