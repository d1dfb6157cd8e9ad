/** The benchmark: measures both profiles, prints a table, writes one JSON, compares with the baselines. */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs, styleText } from 'node:util';
import { measureCommits } from './commits.ts';
import { measureCore } from './core.ts';
import { measureReads } from './reads.ts';
import { startRegistry } from './registry-process.ts';
import { type Baseline, type Comparison, compare, type Profile, type Result } from './result.ts';

const PROFILES: readonly Profile[] = ['micronode', 'macronode'];
/** About a minute and a half in all, on two idle cores. */
const PLAN = { coreMs: 1000, rounds: 5, secondsPerTurn: 2, commits: 500 };
/** What the same program differs by from run to run while others use the machine. */
const TOLERANCE = 2;

async function measure(profile: Profile): Promise<readonly Result[]> {
  await using registry = await startRegistry(profile);
  const { rounds, secondsPerTurn, commits } = PLAN;
  const reads = await measureReads({ url: registry.url, rounds, secondsPerTurn });
  return [...reads, ...(await measureCommits({ profile, count: commits }))];
}

function baselinePath(profile: Profile): string {
  return join(import.meta.dirname, 'baselines', `${profile}.json`);
}

function readBaseline(profile: Profile): Baseline {
  return JSON.parse(readFileSync(baselinePath(profile), 'utf8'));
}

function writeBaseline(profile: Profile, results: readonly Result[]): void {
  const ratios = Object.fromEntries(
    results.map(({ name, ratio }) => [name, Number(ratio.toFixed(2))]),
  );
  writeFileSync(
    baselinePath(profile),
    `${JSON.stringify({ tolerance: TOLERANCE, ratios }, null, 2)}\n`,
  );
}

function row({ result, baseline, verdict }: Comparison): string {
  const { name, value, unit, calibration, ratio } = result;
  const cells = [
    name.padEnd(44),
    `${value.toFixed(value < 100 ? 1 : 0)} ${unit}`.padStart(17),
    `${ratio.toFixed(2)}x`.padStart(8),
    (baseline === undefined ? '-' : `${baseline.toFixed(2)}x`).padStart(8),
  ];
  const said = verdict === 'worse' ? styleText('red', verdict) : verdict;
  return `${cells.join('  ')}  ${said.padEnd(9)}  of ${calibration.name}`;
}

/** Whether no ratio is worse than its baseline allows. */
function judge(profile: Profile, results: readonly Result[]): boolean {
  const { compared, missing } = compare(results, readBaseline(profile));
  console.log(
    `\n${styleText('bold', profile)}${' '.repeat(44 - profile.length)}  measured          ratio  baseline`,
  );
  for (const comparison of compared) console.log(row(comparison));
  for (const name of missing)
    console.log(styleText('red', `${name}: in the baseline, not measured`));
  return missing.length === 0 && compared.every(({ verdict }) => verdict !== 'worse');
}

const { values } = parseArgs({
  options: {
    output: { type: 'string', default: 'perf.json' },
    update: { type: 'boolean', default: false },
  },
});
const began = performance.now();
console.log('measuring for about a minute and a half; leave the machine alone meanwhile');
const core = await measureCore(PLAN.coreMs);
const profiles = new Map<Profile, readonly Result[]>();
for (const profile of PROFILES) profiles.set(profile, [...core, ...(await measure(profile))]);

if (values.update) for (const [profile, results] of profiles) writeBaseline(profile, results);
const isGood = [...profiles].map(([profile, results]) => judge(profile, results)).every(Boolean);
const machine = {
  node: process.version,
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: availableParallelism(),
};
const report = {
  at: new Date().toISOString(),
  machine,
  plan: PLAN,
  profiles: Object.fromEntries(profiles),
};
writeFileSync(values.output, `${JSON.stringify(report, null, 2)}\n`);
console.log(
  `\n${((performance.now() - began) / 1000).toFixed(0)} s; all figures are in ${values.output}`,
);
console.log(
  isGood
    ? styleText('green', 'no ratio is worse than its baseline allows')
    : styleText(
        'red',
        'a ratio is worse than its baseline allows: run again on an idle machine before believing it',
      ),
);
process.exitCode = isGood ? 0 : 1;
