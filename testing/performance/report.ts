/** A run as a page: tables of all figures, what the gate says, and plots as files beside it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Profile } from './figure.ts';
import type { Judgement } from './gate.ts';
import type { Curve, RunFile } from './run-file.ts';
import { lineChart } from './svg.ts';
import { figuresTable } from './table.ts';

/** The page, in the directory of the runs. */
export const REPORT = 'report.md';

/** Older runs are not drawn. */
const TREND_RUNS = 30;
/** More lines in one plot cannot be told apart. */
const TREND_LINES = 6;

export interface Report {
  readonly run: RunFile;
  readonly judgements: ReadonlyMap<Profile, Judgement>;
  /** This one is the last. */
  readonly runs: readonly RunFile[];
}

/** Answers the path of the page. */
export function writeReport(directory: string, report: Report): string {
  mkdirSync(directory, { recursive: true });
  for (const { file, content } of plotsOf(report)) writeFileSync(join(directory, file), content);
  const path = join(directory, REPORT);
  writeFileSync(path, formatReport(report));
  return path;
}

interface Plot {
  readonly title: string;
  readonly file: string;
  readonly content: string;
}

export function plotsOf({ run, runs }: Report): readonly Plot[] {
  const curves = [...run.curves, ...trendsOf(runs)];
  return curves.map((curve) => ({
    title: curve.title,
    file: `${curve.title.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}.svg`,
    content: lineChart(curve),
  }));
}

/** The gated figures against their first run, over the runs that are here. */
export function trendsOf(runs: readonly RunFile[]): readonly Curve[] {
  const shown = runs.slice(-TREND_RUNS);
  const newest = shown.at(-1);
  if (newest === undefined || shown.length < 2) return [];
  return Object.entries(newest.profiles).flatMap(([profile, figures]) => {
    const names = figures.filter(({ isGated }) => isGated).map(({ name }) => name);
    return chunks(names, TREND_LINES).map((part, i) => ({
      title: `Trend of ${profile}, ${i + 1}`,
      xLabel: 'run',
      yLabel: 'ratio over that of the first run here',
      isLogX: false,
      isLogY: false,
      lines: part.map((name) => ({ name, points: pointsOf(shown, profile as Profile, name) })),
    }));
  });
}

function pointsOf(runs: readonly RunFile[], profile: Profile, name: string): [number, number][] {
  const ratios = runs.map(
    (run) => run.profiles[profile]?.find((figure) => figure.name === name)?.ratio,
  );
  const first = ratios.find((ratio) => ratio !== undefined) ?? Number.NaN;
  return ratios.flatMap((ratio, i): [number, number][] =>
    ratio === undefined ? [] : [[i + 1, ratio / first]],
  );
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
}

export function formatReport(report: Report): string {
  const { run, judgements } = report;
  const { machine } = run;
  return [
    `# Performance, ${run.at.slice(0, 16).replace('T', ' ')}`,
    '',
    `${run.kind}, ${run.seconds} s, commit ${machine.commit}, Node ${machine.node}, ${machine.cores} cores of ${machine.cpu}, Linux ${machine.kernel}.`,
    'A ratio is ours over the reference, measured in turns: of throughput more is better, of all else less.',
    '',
    ...run.leftOut.map((line) => `- **left out:** ${line}`),
    ...verdictLines(report),
    ...[...judgements].flatMap(([profile, judgement]) => [
      `## ${profile}`,
      '',
      figuresTable(run.profiles[profile] ?? [], judgement),
      '',
    ]),
    ...(run.bounds.length === 0 ? [] : ['## Bounds', '', boundsTable(run), '']),
    ...plotsOf(report).flatMap(({ title, file }) => [`![${title}](${file})`, '']),
  ].join('\n');
}

function verdictLines({ run, judgements }: Report): string[] {
  const all = [...judgements.values()];
  const worse = all.flatMap(({ failures }) => failures);
  const undecided = all.flatMap((one) => one.undecided);
  const waived = all.flatMap(({ judged }) => judged.filter(({ verdict }) => verdict === 'waived'));
  const lines = [
    ...[...worse, ...run.failures].map((line) => `- **worse:** ${line}`),
    ...undecided.map((line) => `- **undecided:** ${line}`),
    ...all.flatMap(({ remarks }) => remarks).map((line) => `- **not judged:** ${line}`),
    ...waived.map(
      ({ waiver }) => `- **waived** until ${waiver?.until}: ${waiver?.figure}: ${waiver?.cause}`,
    ),
  ];
  return [...(lines.length === 0 ? ['Nothing is worse than its baseline allows.'] : lines), ''];
}

function boundsTable({ bounds }: RunFile): string {
  return [
    '| bound | measured | at most | |',
    '| --- | --- | --- | --- |',
    ...bounds.map(
      ({ name, value, max }) =>
        `| ${name} | ${value.toFixed(3)} | ${max} | ${value <= max ? 'holds' : '**exceeded**'} |`,
    ),
  ].join('\n');
}
