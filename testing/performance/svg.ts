/** Plots as plain SVG text: lines over two axes, linear or logarithmic. Readable without any script or style sheet. */
import type { Curve, CurveLine } from './run-file.ts';

const WIDTH = 720;
const HEIGHT = 400;
const MARGIN = { left: 70, right: 170, top: 40, bottom: 50 };
/** Told apart by those who see no red and green, too; dashes tell them apart in print. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#000000'];
const DASHES = ['', '6 3', '2 3', '8 3 2 3', '1 4', '10 4'];
const LINEAR_TICKS = 5;

/** From a value to its place on the paper. */
interface Axis {
  readonly ticks: readonly number[];
  place(value: number): number;
}

export function lineChart(curve: Curve): string {
  const points = curve.lines.flatMap((line) => line.points);
  if (points.length === 0) throw new Error(`expected points in ${curve.title}, got none`);
  const x = axisOf(
    points.map(([at]) => at),
    {
      isLog: curve.isLogX,
      from: MARGIN.left,
      to: WIDTH - MARGIN.right,
    },
  );
  const y = axisOf(
    points.map(([, at]) => at),
    {
      isLog: curve.isLogY,
      from: HEIGHT - MARGIN.bottom,
      to: MARGIN.top,
    },
  );
  return svg({ width: WIDTH, height: HEIGHT }, [
    text(curve.title, { x: MARGIN.left, y: 22, size: 15 }),
    ...grid(x, y),
    text(curve.xLabel, {
      x: (MARGIN.left + WIDTH - MARGIN.right) / 2,
      y: HEIGHT - 10,
      anchor: 'middle',
    }),
    text(curve.yLabel, { x: 8, y: MARGIN.top - 10 }),
    ...curve.lines.flatMap((line, i) => drawLine(line, { x, y, i })),
  ]);
}

/** A document of these elements, black on white. */
export function svg(
  { width, height }: { readonly width: number; readonly height: number },
  elements: readonly string[],
): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...elements,
    '</svg>',
    '',
  ].join('\n');
}

export function text(
  content: string,
  {
    x,
    y,
    size = 12,
    anchor = 'start',
  }: { readonly x: number; readonly y: number; readonly size?: number; readonly anchor?: string },
): string {
  return `<text x="${short(x)}" y="${short(y)}" font-size="${size}" text-anchor="${anchor}">${escapeText(content)}</text>`;
}

export function escapeText(content: string): string {
  return (
    content
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      // Not allowed in XML, however it is written.
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '?')
  );
}

function drawLine(
  { name, points }: CurveLine,
  { x, y, i }: { readonly x: Axis; readonly y: Axis; readonly i: number },
): string[] {
  const colour = COLOURS[i % COLOURS.length];
  const places = points.map(([px, py]) => [short(x.place(px)), short(y.place(py))] as const);
  const path = places.map((place) => place.join(',')).join(' ');
  const legendY = MARGIN.top + 12 + i * 18;
  const legendX = WIDTH - MARGIN.right + 12;
  const stroke = `stroke="${colour}" stroke-width="2" stroke-dasharray="${DASHES[i % DASHES.length]}"`;
  return [
    `<polyline fill="none" ${stroke} points="${path}"/>`,
    ...points.map(([px, py], at) => {
      const [cx, cy] = places[at] ?? [0, 0];
      const hint = escapeText(`${name}: ${label(px)}, ${label(py)}`);
      return `<circle cx="${cx}" cy="${cy}" r="3" fill="${colour}"><title>${hint}</title></circle>`;
    }),
    `<line x1="${legendX}" x2="${legendX + 24}" y1="${legendY - 4}" y2="${legendY - 4}" ${stroke}/>`,
    text(name, { x: legendX + 30, y: legendY, size: 11 }),
  ];
}

function grid(x: Axis, y: Axis): string[] {
  const line = (x1: number, y1: number, x2: number, y2: number) =>
    `<line x1="${short(x1)}" y1="${short(y1)}" x2="${short(x2)}" y2="${short(y2)}" stroke="#ddd"/>`;
  const bottom = HEIGHT - MARGIN.bottom;
  return [
    ...x.ticks.flatMap((tick) => [
      line(x.place(tick), MARGIN.top, x.place(tick), bottom),
      text(label(tick), { x: x.place(tick), y: bottom + 16, anchor: 'middle', size: 11 }),
    ]),
    ...y.ticks.flatMap((tick) => [
      line(MARGIN.left, y.place(tick), WIDTH - MARGIN.right, y.place(tick)),
      text(label(tick), { x: MARGIN.left - 6, y: y.place(tick) + 4, anchor: 'end', size: 11 }),
    ]),
  ];
}

interface AxisOptions {
  readonly isLog: boolean;
  readonly from: number;
  readonly to: number;
}

function axisOf(values: readonly number[], { isLog, from, to }: AxisOptions): Axis {
  const bad = values.find((value) => !Number.isFinite(value) || (isLog && value <= 0));
  if (bad !== undefined) throw new Error(`expected values that can be drawn, got ${bad}`);
  const ticks = isLog ? logTicks(values) : linearTicks(values);
  const scale = (value: number) => (isLog ? Math.log10(value) : value);
  const low = scale(ticks[0] ?? 0);
  const high = scale(ticks.at(-1) ?? 1);
  return { ticks, place: (value) => from + ((scale(value) - low) / (high - low)) * (to - from) };
}

/** From 0 on: a plot that leaves it out makes small things large. */
function linearTicks(values: readonly number[]): number[] {
  const most = Math.max(...values, 0) || 1;
  const rough = most / LINEAR_TICKS;
  const decade = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * decade).find((one) => one >= rough) ?? rough;
  const count = Math.ceil(most / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, i) => i * step);
}

function logTicks(values: readonly number[]): number[] {
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))));
  return Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
}

function label(value: number): string {
  if (value !== 0 && Math.abs(value) < 0.01) return value.toExponential(0);
  if (Math.abs(value) >= 1_000_000) return `${short(value / 1_000_000)}M`;
  if (Math.abs(value) >= 10_000) return `${short(value / 1_000)}k`;
  return String(short(value));
}

function short(value: number): number {
  return Number(value.toFixed(2));
}
