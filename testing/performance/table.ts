/** A run as text: what each figure is, what it is held against, and what the gate says of it. */
import type { Figure } from './figure.ts';
import type { Judged, Judgement } from './gate.ts';

const HEAD = [
  'measurement',
  'ours',
  'reference',
  'ratio',
  'noise',
  'rounds',
  'baseline',
  'verdict',
];

/** Figures in rows, gated ones with their verdict. */
export function rowsOf(figures: readonly Figure[], { judged }: Judgement): readonly string[][] {
  const verdicts = new Map(judged.map((one) => [one.figure.name, one]));
  return figures.map((figure) => rowOf(figure, verdicts.get(figure.name)));
}

function rowOf(figure: Figure, judged: Judged | undefined): string[] {
  const { name, ours, theirs, unit, ratio, noise, rounds, thrownAway, disturbed, slow } = figure;
  return [
    name,
    `${amount(ours)} ${unit}`,
    amount(theirs),
    `${ratio.toFixed(2)}x`,
    noise === null ? '?' : `${(noise * 100).toFixed(1)} %`,
    [String(rounds), ...notes({ thrownAway, disturbed, slow })].join(', '),
    judged?.baseline === undefined ? '' : `${judged.baseline.ratio.toFixed(2)}x`,
    judged?.verdict ?? '',
  ];
}

function notes({
  thrownAway,
  disturbed,
  slow,
}: Pick<Figure, 'thrownAway' | 'disturbed' | 'slow'>): string[] {
  return [
    ...(slow > 0 ? [`${slow} while the machine was slow`] : []),
    ...(disturbed > 0 ? [`${disturbed} disturbed`] : []),
    ...(thrownAway > 0 ? [`${thrownAway} thrown away`] : []),
  ];
}

/** Three digits that say something. */
export function amount(value: number): string {
  if (value >= 1_000) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
}

export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

export function figuresTable(figures: readonly Figure[], judgement: Judgement): string {
  return markdownTable(HEAD, rowsOf(figures, judgement));
}

/** For a terminal: columns that stand below each other. */
export function plainTable(figures: readonly Figure[], judgement: Judgement): string {
  const rows = [HEAD, ...rowsOf(figures, judgement)];
  const widths = HEAD.map((_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => align(cell, widths[i] ?? 0, i))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function align(cell: string, width: number, column: number): string {
  return column === 0 || column === HEAD.length - 1 ? cell.padEnd(width) : cell.padStart(width);
}
