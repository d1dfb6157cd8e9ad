/** Runs testing/conformance/verify.py, which was written from docs/wire-format.md alone, beside our own verifiers. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import type { TestContext } from 'node:test';
import { RegistryError } from '../../src/core/error.ts';

const SCRIPT = new URL('../conformance/verify.py', import.meta.url).pathname;
const MAX_OUTPUT = 256 * 1024 * 1024;
const TIMEOUT_MS = 120_000;

const hasPython =
  spawnSync('python3', ['-c', 'import sys; sys.exit(sys.version_info < (3, 8))']).status === 0;

/** For `test`: without Python nothing independent is checked. The runner refuses a skip in CI. */
export const NEEDS_PYTHON: { readonly skip?: string } = hasPython
  ? {}
  : { skip: 'python3 (3.8 or later) is not here: NOTHING INDEPENDENT WAS CHECKED' };

/** What it prints, parsed; or why it refuses. */
export function secondVerdict(
  command: string,
  args: readonly string[],
  input: string | Uint8Array = '',
): { readonly found: unknown; readonly refusal: string } {
  const ended = spawnSync('python3', [SCRIPT, command, ...args], {
    input,
    encoding: 'utf8',
    maxBuffer: MAX_OUTPUT,
    timeout: TIMEOUT_MS,
  });
  if (ended.status === 0) return { found: JSON.parse(ended.stdout), refusal: '' };
  return { found: undefined, refusal: ended.stderr.trim() };
}

/** One of `CASES` in verify.py, and what we say of the same bytes. */
export interface SharedCase {
  readonly what: string;
  /** `[name, argument...]` */
  readonly theirs: readonly unknown[];
  /** JSON. A `RegistryError` is a refusal, like `undefined`. */
  readonly ours: () => unknown;
}

/** Both say the same of every case. Fails unless at least `refused` and `accepted` of them were. */
export async function assertSameVerdicts(
  t: TestContext,
  cases: readonly SharedCase[],
  { accepted, refused }: { readonly accepted: number; readonly refused: number },
): Promise<void> {
  const input = JSON.stringify(cases.map(({ theirs }) => theirs));
  const { found, refusal } = secondVerdict('cases', ['-'], input);
  assert.equal(refusal, '');
  assert.ok(Array.isArray(found) && found.length === cases.length);
  let refusals = 0;
  for (const [i, { what, ours }] of cases.entries()) {
    const verdict = await verdictOf(ours);
    if (verdict === null) refusals++;
    assert.deepEqual(
      found[i],
      verdict,
      `${what}: ${JSON.stringify(cases[i]?.theirs).slice(0, 2000)}`,
    );
  }
  t.diagnostic(`${cases.length} cases, ${refusals} refused`);
  assert.ok(cases.length - refusals >= accepted, `${cases.length - refusals} accepted`);
  assert.ok(refusals >= refused, `${refusals} refused`);
}

async function verdictOf(ours: () => unknown): Promise<unknown> {
  try {
    return (await ours()) ?? null;
  } catch (error) {
    if (error instanceof RegistryError) return null;
    throw error;
  }
}
