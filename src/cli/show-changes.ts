/** Changes for a person who has to agree with them: what stands there now and what would. Pure. */
import type { JsonObject } from '../core/canonical.ts';
import { escapeText } from '../core/error.ts';
import type { Change, Descriptor } from '../core/payload.ts';
import { jsonDifferences } from './json-difference.ts';
import { keyOf, valueHashOf } from './plan.ts';
import type { Style } from './style.ts';
import { showJson } from './text.ts';

/** What stands at a key; `undefined` when it is not known, as offline. */
export type CurrentValue = (key: { kind: string; id: string }) => Descriptor | null | undefined;

/** Lines, each change with every value it brings. */
export function showChanges(
  changes: readonly Change[],
  { current, style }: { readonly current: CurrentValue; readonly style: Style },
): readonly string[] {
  return changes.flatMap((change) => showChange(change, current(change), style));
}

function showChange(change: Change, before: Descriptor | null | undefined, style: Style): string[] {
  const key = escapeText(keyOf(change));
  if (change.op === 'remove')
    return [style('bad', `- ${key}`), ...(before ? members(before.spec, '-') : fence(change))];
  if (change.replaces === null) return [style('good', `+ ${key}`), ...members(change.spec, '+')];
  if (before === undefined || before === null)
    return [style('warn', `~ ${key}`), ...fence(change), ...members(change.spec, '+')];
  if (valueHashOf(before) === valueHashOf(change)) return [style('faint', `= ${key}`)];
  return [style('warn', `~ ${key}`), ...differences(before.spec, change.spec)];
}

function fence({ replaces }: Change): string[] {
  return [`    replaces ${replaces}`];
}

function members(spec: JsonObject, sign: '+' | '-'): string[] {
  return Object.entries(spec).map(
    ([name, value]) => `    ${sign} ${showJson(name)}: ${showJson(value)}`,
  );
}

function differences(before: JsonObject, after: JsonObject): string[] {
  return jsonDifferences(before, after).flatMap(({ pointer, ...side }) => {
    const place = showJson(pointer.slice(1));
    return [
      ...(side.before === undefined ? [] : [`    - ${place}: ${showJson(side.before)}`]),
      ...(side.after === undefined ? [] : [`    + ${place}: ${showJson(side.after)}`]),
    ];
  });
}
