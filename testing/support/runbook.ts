/** RUNBOOK.md as data: a section for each alert, with its queries. */

export interface Section {
  readonly title: string;
  /** As a page renders it. */
  readonly anchor: string;
  readonly text: string;
  readonly queries: readonly RunbookQuery[];
}

export interface RunbookQuery {
  readonly expr: string;
  /** The query says of itself that it has no answer on a server that is well. */
  readonly isEmptyWhenWell: boolean;
}

/** Sections of the second level. */
export function sectionsOf(page: string): readonly Section[] {
  return page
    .split(/^## /m)
    .slice(1)
    .map((text) => {
      const title = text.split('\n')[0] ?? '';
      return { title, anchor: anchorOf(title), text, queries: queriesIn(text) };
    });
}

/** As GitHub makes them. */
export function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

/** One to a line of a `promql` block; a line that begins with a blank goes on with the one before. */
function queriesIn(text: string): RunbookQuery[] {
  const blocks = [...text.matchAll(/^```promql\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block);
  return blocks
    .flatMap((block) => block.trimEnd().split(/\n(?! )/))
    .map((expr) => ({ expr, isEmptyWhenWell: expr.includes('# empty when all is well') }));
}
