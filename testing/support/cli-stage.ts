/** A real registry, a directory with its signers' keys, and the program to be run against them, all in this process. */
import { createHash, createPrivateKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '../../src/client/create.ts';
import { canonicalText } from '../../src/core/canonical.ts';
import { type CliRun, type CliWorld, runCli } from './cli-io.ts';
import { DrivenClock } from './client-clock.ts';
import { openStage, type Stage, URL_BASE } from './client-server.ts';
import type { TestRegistryOptions } from './registry.ts';
import { makeSigner } from './signers.ts';

const root = mkdtempSync(join(tmpdir(), 'quorate-cli-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));

export function makeDirectory(): string {
  return mkdtempSync(join(root, 'test-'));
}

export interface CliStage extends Stage {
  readonly directory: string;
  /** A path in the directory. */
  file(name: string): string;
  /** Writes a file into the directory; answers its path. */
  write(name: string, content: string | object): string;
  /** Runs `quorate` against the stage, with trusted state in the directory. */
  cli(...argv: readonly string[]): Promise<CliRun>;
  cliIn(world: CliWorld, ...argv: readonly string[]): Promise<CliRun>;
  /** Proposes the change of a declared set; answers the proposal's id. */
  propose(items: readonly object[], ...argv: readonly string[]): Promise<string>;
}

/** Signers `signer-000`, ... have their keys in `signer-000.pem`, ... */
export async function openCliStage(options: TestRegistryOptions = {}): Promise<CliStage> {
  const stage = await openStage(options);
  const directory = makeDirectory();
  const file = (name: string) => join(directory, name);
  const write = (name: string, content: string | object) => {
    writeFileSync(file(name), typeof content === 'string' ? content : canonicalText(content));
    return file(name);
  };
  for (const { signer } of stage.signers) writeKey(directory, signer.signer_id.split('#')[1] ?? '');
  const cliIn = (world: CliWorld, ...argv: readonly string[]) =>
    runCli(['--url', URL_BASE, '--state', file('state'), ...argv], {
      now: () => stage.timers.now(),
      fetch: stage.fetch,
      connect: (given) =>
        createClient({ ...given, fetch: stage.fetch }, new DrivenClock(stage.timers.now())),
      ...world,
    });
  const cli = (...argv: readonly string[]) => cliIn({}, ...argv);
  return {
    ...stage,
    directory,
    file,
    write,
    cli,
    cliIn,
    propose: async (items, ...argv) => {
      const { stdout } = await cli('propose', '-f', write('declared.json', items), ...argv);
      return stdout.trim();
    },
  };
}

/** The key that `makeSigner` gives the name, as files that the program reads. */
export function writeKey(directory: string, name: string): string {
  const seed = createHash('sha256').update(name).digest();
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const path = join(directory, `${name}.pem`);
  writeFileSync(path, key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(join(directory, `${name}.pub.json`), canonicalText(makeSigner(name).signer));
  return path;
}
