/** As much of PromQL as it takes to say which metrics an expression reads. */

const KEYWORDS = new Set(['and', 'or', 'unless', 'bool', 'offset', 'atan2', 'inf', 'nan']);

/** What stands in an expression and names no metric: text, matchers, ranges, lists of labels, numbers. */
const ASIDE = [
  /#.*$/gm,
  /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`/g,
  /\{[^}]*\}/g,
  /\[[^\]]*\]/g,
  /\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/gi,
  /\b\d[\w.]*/g,
];

/** Each once, sorted; a recorded series by its name with colons. */
export function metricsIn(expr: string): string[] {
  const bare = ASIDE.reduce((text, pattern) => text.replace(pattern, ' '), expr);
  const names = [...bare.matchAll(/[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\(|[a-zA-Z0-9_:])/g)].map(
    ([name]) => name,
  );
  return [...new Set(names)].filter((name) => !KEYWORDS.has(name.toLowerCase())).sort();
}

/** Series of a page in the text format: those of a histogram by their three names too. */
export function seriesOf(page: string): ReadonlySet<string> {
  const types = [...page.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  return new Set(
    types.flatMap(([, name = '', type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
}
