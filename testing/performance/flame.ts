/** A flame graph as SVG of a profile that Node wrote: how wide a function is, so much of the time it was on the stack. */
import { escapeText, svg, text } from './svg.ts';

const WIDTH = 1_200;
const ROW = 16;
const TOP = 30;
/** Narrower than this nothing can be read or hovered. */
const LEAST_WIDTH = 0.5;
/** Of a letter, about. */
const LETTER = 6.2;

interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    readonly lineNumber: number;
  };
  readonly children?: readonly number[];
}

/** The part of a `.cpuprofile` that is read. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  /** Microseconds since the sample before. */
  readonly timeDeltas: readonly number[];
}

interface Frame {
  readonly name: string;
  readonly us: number;
  readonly children: readonly Frame[];
}

/** Time without work is left out: the processor's is asked for. */
const IDLE = new Set(['(idle)', '(program)']);

export function flameGraph(profile: CpuProfile, title: string): string {
  const root = frameOf(profile);
  if (root.us === 0) throw new Error('expected a profile with time in it, got none');
  const rows: string[] = [];
  const depth = draw(root, { x: 0, row: 0, scale: WIDTH / root.us, total: root.us, rows });
  return svg({ width: WIDTH, height: TOP + (depth + 1) * ROW + 10 }, [
    text(`${title}: ${Math.round(root.us / 1_000)} ms of processor`, { x: 8, y: 20, size: 15 }),
    ...rows,
  ]);
}

function frameOf({ nodes, samples, timeDeltas }: CpuProfile): Frame {
  const selfUs = new Map<number, number>();
  for (const [i, id] of samples.entries())
    selfUs.set(id, (selfUs.get(id) ?? 0) + (timeDeltas[i] ?? 0));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const build = (node: ProfileNode): Frame => {
    const children = (node.children ?? [])
      .flatMap((id) => byId.get(id) ?? [])
      .filter(({ callFrame }) => !IDLE.has(callFrame.functionName))
      .map(build)
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const own = Math.max(0, selfUs.get(node.id) ?? 0);
    return {
      name: nameOf(node),
      us: children.reduce((sum, { us }) => sum + us, own),
      children,
    };
  };
  const [root] = nodes;
  if (root === undefined) throw new Error('expected a profile with nodes, got none');
  return build(root);
}

function nameOf({ callFrame: { functionName, url, lineNumber } }: ProfileNode): string {
  const file = url.split('/').slice(-2).join('/');
  return `${functionName || '(anonymous)'}${file === '' ? '' : ` ${file}:${lineNumber + 1}`}`;
}

interface Place {
  readonly x: number;
  readonly row: number;
  readonly scale: number;
  readonly total: number;
  readonly rows: string[];
}

/** Answers the deepest row. */
function draw(frame: Frame, place: Place): number {
  const { x, row, scale, total, rows } = place;
  const width = frame.us * scale;
  if (width < LEAST_WIDTH) return row;
  const share = `${((100 * frame.us) / total).toFixed(1)} %`;
  const y = TOP + row * ROW;
  rows.push(
    `<g><title>${escapeText(`${frame.name}: ${share}`)}</title><rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${ROW - 1}" fill="${colourOf(frame.name)}"/>${labelOf(frame.name, { x, y, width })}</g>`,
  );
  let from = x;
  let deepest = row;
  for (const child of frame.children) {
    deepest = Math.max(deepest, draw(child, { ...place, x: from, row: row + 1 }));
    from += child.us * scale;
  }
  return deepest;
}

function labelOf(
  name: string,
  { x, y, width }: { readonly x: number; readonly y: number; readonly width: number },
): string {
  const letters = Math.floor((width - 4) / LETTER);
  return letters < 3 ? '' : text(name.slice(0, letters), { x: x + 2, y: y + ROW - 4, size: 10 });
}

/** Warm, and the same for the same name. */
function colourOf(name: string): string {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 997;
  return `hsl(${20 + (sum % 40)}, 80%, ${60 + (sum % 15)}%)`;
}
