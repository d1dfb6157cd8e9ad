/** The program in testing/interop/go, built once in each process that asks, with Debian's Go packages and no network. */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';

const GOPATH = '/usr/share/gocode';
const SOURCE = new URL('../interop/go/main.go', import.meta.url).pathname;
const run = promisify(execFile);

let built: string | undefined;

/** Skips the test, saying so, where Go or its packages are not installed. */
export function isGoMissing(t: TestContext): boolean {
  const isThere =
    spawnSync('go', ['version']).status === 0 && existsSync(`${GOPATH}/src/golang.org/x/mod/sumdb`);
  if (!isThere)
    t.skip('SKIPPED, NOT PASSED: golang-go and golang-golang-x-mod-dev are not installed');
  return !isThere;
}

/** Standard output, line by line as JSON; throws with standard error when the reader refuses. */
export async function goReader<T>(parameters: readonly string[]): Promise<readonly T[]> {
  built ??= build();
  const { stdout } = await run(built, parameters, { timeout: 60_000, maxBuffer: 2 ** 24 });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line): T => JSON.parse(line));
}

function build(): string {
  const folder = mkdtempSync(join(tmpdir(), 'quorate-go-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, 'reader');
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    GOPATH,
    GO111MODULE: 'off',
    GOCACHE: join(folder, 'cache'),
    GOENV: 'off',
    GOFLAGS: '',
    GOPROXY: 'off',
    GOTOOLCHAIN: 'local',
  };
  const made = spawnSync('go', ['build', '-o', program, SOURCE], { env, timeout: 180_000 });
  if (made.status !== 0) throw new Error(`go build: ${made.error ?? made.stderr.toString()}`);
  return program;
}
