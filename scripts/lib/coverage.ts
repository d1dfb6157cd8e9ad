/**
 * What the project demands of coverage: every source file is in the report, `src/core` is covered
 * whole, `src/` in total at least 90 %. Node's own thresholds know no folders and leave out files
 * that no test loads.
 */
import { globSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join, relative } from 'node:path';
import type { EventData } from 'node:test';

type Summary = EventData.TestCoverage['summary'];
type FileCoverage = Summary['files'][number];

export interface CoverageVerdict {
  /** One line for people. */
  readonly summary: string;
  /** Each a reason to fail. */
  readonly problems: readonly string[];
}

const MIN_LINE_PERCENT = 90;

export function judgeCoverage(root: string, summary: Summary): CoverageVerdict {
  const files = new Map(summary.files.map((file) => [relative(root, file.path), file]));
  const core = [...files].filter(([path]) => path.startsWith('src/core/'));
  const problems = [
    ...globSync('src/**/*.ts', { cwd: root })
      .filter((path) => !files.has(path) && hasCode(join(root, path)))
      .map((path) => `${path}: no test loads it`),
    ...core.flatMap(([path, file]) => holesOf(path, file)),
  ];
  const lines = percent([...files.values()], 'Line');
  if (lines < MIN_LINE_PERCENT) {
    problems.push(
      `src: expected ${MIN_LINE_PERCENT} % of lines, got ${lines.toFixed(1)} %; least covered:`,
    );
    problems.push(...leastCovered([...files]));
  }
  const coreFiles = core.map(([, file]) => file);
  return {
    summary:
      `coverage: src ${lines.toFixed(1)} % of lines; src/core ${percent(coreFiles, 'Line').toFixed(1)} % of lines, ` +
      `${percent(coreFiles, 'Branch').toFixed(1)} % of branches`,
    problems,
  };
}

/** A file of types alone leaves nothing to run, so no report can name it. */
function hasCode(path: string): boolean {
  const code = stripTypeScriptTypes(readFileSync(path, 'utf8'));
  return code.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '').trim() !== '';
}

function holesOf(path: string, file: FileCoverage): string[] {
  const lines = file.lines.filter((l) => l.count === 0).map((l) => l.line);
  const branches = file.branches.filter((b) => b.count === 0).map((b) => b.line);
  return [
    ...(lines.length > 0 ? [`${path}: lines never reached: ${ranges(lines)}`] : []),
    ...(branches.length > 0 ? [`${path}: branches never taken, at lines ${ranges(branches)}`] : []),
  ];
}

/** `1, 2, 3, 7` as `1-3, 7`. */
function ranges(numbers: readonly number[]): string {
  const runs: [first: number, last: number][] = [];
  for (const n of [...new Set(numbers)].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run !== undefined && n === run[1] + 1) run[1] = n;
    else runs.push([n, n]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(', ');
}

function percent(files: readonly FileCoverage[], what: 'Line' | 'Branch'): number {
  const total = files.reduce((sum, file) => sum + file[`total${what}Count`], 0);
  const covered = files.reduce((sum, file) => sum + file[`covered${what}Count`], 0);
  return total === 0 ? 100 : (100 * covered) / total;
}

function leastCovered(files: readonly (readonly [string, FileCoverage])[]): string[] {
  return [...files]
    .sort(([, a], [, b]) => a.coveredLinePercent - b.coveredLinePercent)
    .slice(0, 10)
    .map(([path, file]) => `  ${file.coveredLinePercent.toFixed(1).padStart(5)} %  ${path}`);
}
