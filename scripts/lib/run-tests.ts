/** Runs the test files, prints what happened and exits 0 only if every promise of `scripts/test` held. */
import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { run } from 'node:test';
import { pathToFileURL } from 'node:url';
import { parseArgs, styleText } from 'node:util';
import { type CoverageVerdict, judgeCoverage } from './coverage.ts';
import { type SkippedTest, TestReport } from './test-report.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const BUDGET_SECONDS = 240;
/** After so long without a sign of any test, what still runs is ended and named. */
const HANG_SECONDS = { default: 300, long: 3600 };

interface Plan {
  readonly files: readonly string[];
  readonly isWhole: boolean;
  readonly isLong: boolean;
}

function plan(args: readonly string[]): Plan {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { long: { type: 'boolean', default: false } },
  });
  const files = globSync('testing/**/*.test.ts', { cwd: ROOT })
    .filter((file) => values.long || !file.endsWith('.long.test.ts'))
    .filter(
      (file) => positionals.length === 0 || positionals.some((pattern) => file.includes(pattern)),
    )
    .sort();
  return { files, isWhole: positionals.length === 0, isLong: values.long };
}

async function runTests({ files, isWhole, isLong }: Plan): Promise<number> {
  if (files.length === 0) {
    print(
      'expected a pattern that is part of a path such as testing/unit/core/hash.test.ts, got none that is',
    );
    return 2;
  }
  if (isLong) process.env.QUORATE_TEST_LONG = '1';
  const started = performance.now();
  const execArgv = isWhole ? prepare() : [];
  const report = new TestReport({ root: ROOT, print });
  const hang = new AbortController();
  let watch: NodeJS.Timeout | undefined;
  let coverage: CoverageVerdict | undefined;
  const events = run({
    files: files.map((file) => resolve(ROOT, file)),
    cwd: ROOT,
    concurrency: 2,
    execArgv,
    signal: hang.signal,
    coverage: isWhole,
    coverageIncludeGlobs: ['src/**/*.ts'],
  });
  for await (const event of events) {
    clearTimeout(watch);
    watch = setTimeout(() => hang.abort(), HANG_SECONDS[isLong ? 'long' : 'default'] * 1000);
    report.accept(event);
    if (event.type === 'test:coverage') coverage = judgeCoverage(ROOT, event.data.summary);
  }
  clearTimeout(watch);
  return conclude({
    report,
    coverage,
    files: files.length,
    isWhole,
    isLong,
    seconds: (performance.now() - started) / 1000,
  });
}

/**
 * What is done once for all files: the programs that tests start are bundled, and types stripped. A few files alone
 * do without. Answers the options that the processes of the files need.
 */
function prepare(): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'quorate-tests-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const programs = join(folder, 'programs');
  mkdirSync(programs);
  execFileSync(process.execPath, [join(import.meta.dirname, 'test-programs.ts'), programs]);
  process.env.QUORATE_TEST_PROGRAMS = programs;
  const stripped = join(folder, 'stripped');
  for (const file of globSync('{src,testing,scripts}/**/*.ts', { cwd: ROOT })) {
    mkdirSync(join(stripped, dirname(file)), { recursive: true });
    const source = readFileSync(join(ROOT, file), 'utf8');
    writeFileSync(join(stripped, file), stripTypeScriptTypes(source));
  }
  process.env.QUORATE_TEST_STRIPPED = stripped;
  return ['--import', pathToFileURL(join(import.meta.dirname, 'stripped.mjs')).href];
}

function conclude(ran: {
  report: TestReport;
  coverage: CoverageVerdict | undefined;
  files: number;
  isWhole: boolean;
  isLong: boolean;
  seconds: number;
}): number {
  const { report, coverage, seconds } = ran;
  const { failures, skipped } = report;
  const problems = [...failures.map((name) => `failed: ${name}`), ...(coverage?.problems ?? [])];
  if (ran.isWhole && coverage === undefined)
    problems.push('expected a coverage report, got none', ...report.warnings);
  if (report.tests === 0) problems.push('expected at least one test, got none');
  if (process.env.QUORATE_CI === '1' && skipped.length > 0)
    problems.push(
      `skipped: ${skipped.length} tests, and here nothing may be skipped (QUORATE_CI=1)`,
    );

  print('\nslowest files:');
  for (const line of report.slowest(5)) print(line);
  if (coverage !== undefined) print(`\n${coverage.summary}`);
  printSkipped(skipped);
  print(
    `\n${report.tests} tests in ${ran.files} files, ${failures.length} failed, ${skipped.length} skipped, in ${seconds.toFixed(1)} s`,
  );
  if (ran.isWhole && !ran.isLong && seconds > BUDGET_SECONDS)
    print(
      styleText(
        'yellow',
        `slower than the ${BUDGET_SECONDS} s this suite should take on two idle cores`,
      ),
    );
  for (const problem of problems) print(styleText('red', problem));
  print(
    problems.length === 0 ? styleText('green', '\nAll good.') : styleText('red', '\nNot good.'),
  );
  print(next(problems.length === 0, failures[0]));
  return problems.length === 0 ? 0 : 1;
}

function printSkipped(skipped: readonly SkippedTest[]): void {
  if (skipped.length === 0) return;
  print(styleText('yellow', `\nSKIPPED, so not known to hold here (${skipped.length}):`));
  for (const { name, file, reason } of skipped)
    print(`  ${name}\n    ${file}: ${styleText('yellow', reason)}`);
}

function next(isGood: boolean, failure: string | undefined): string {
  if (isGood)
    return 'Next: scripts/quickstart shows the registry at work; .ci/run is all that a change must pass.';
  const file = failure?.split(': ')[0];
  return file === undefined
    ? 'Next: mend what is named above.'
    : `Next: scripts/test ${file} runs that file alone.`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

try {
  process.exitCode = await runTests(plan(process.argv.slice(2)));
} catch (error) {
  if (
    !(
      error instanceof TypeError &&
      'code' in error &&
      error.code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION'
    )
  )
    throw error;
  print(`${error.message.split('. ')[0]}; scripts/test --help lists what there is`);
  process.exitCode = 2;
}
