/** A Dockerfile as data: stages, and their instructions with continued lines joined. Knows what ours uses, no more. */
import assert from 'node:assert/strict';

export interface Instruction {
  readonly word: string;
  readonly rest: string;
}

export interface Stage {
  readonly from: string;
  /** `final` for the last one, which has none. */
  readonly name: string;
  readonly instructions: readonly Instruction[];
}

export interface Dockerfile {
  /** Before the first stage, with defaults. */
  readonly globals: ReadonlyMap<string, string>;
  readonly stages: readonly Stage[];
}

const WORDS =
  /^(FROM|ARG|WORKDIR|COPY|RUN|LABEL|ENV|USER|VOLUME|EXPOSE|STOPSIGNAL|HEALTHCHECK|ENTRYPOINT|CMD)$/;

export function parseDockerfile(text: string): Dockerfile {
  const globals = new Map<string, string>();
  const stages: { from: string; name: string; instructions: Instruction[] }[] = [];
  for (const { word, rest } of instructionsOf(text)) {
    const stage = stages.at(-1);
    if (word === 'FROM') {
      const [, from = '', name = 'final'] = /^(\S+)(?: AS (\S+))?$/.exec(rest) ?? [];
      assert.notEqual(from, '', rest);
      stages.push({ from, name, instructions: [] });
    } else if (stage === undefined) {
      assert.equal(word, 'ARG');
      const [name = '', value = ''] = rest.split('=');
      globals.set(name, value);
    } else stage.instructions.push({ word, rest });
  }
  return { globals, stages };
}

function instructionsOf(text: string): Instruction[] {
  const lines = text.split('\n').filter((line) => !/^\s*(#|$)/.test(line));
  const joined = lines.join('\n').replaceAll(/\s*\\\n\s*/g, ' ');
  return joined.split('\n').map((line) => {
    const [word = '', ...rest] = line.split(' ');
    assert.match(word, WORDS);
    return { word, rest: rest.join(' ') };
  });
}

/** The rest of the one instruction with this word. */
export function only({ instructions }: Stage, word: string): string {
  const [found, ...more] = instructions.filter((instruction) => instruction.word === word);
  assert.ok(found !== undefined && more.length === 0, `expected one ${word}`);
  return found.rest;
}

/** A command that no shell reads. */
export function execForm(text: string): readonly string[] {
  const parts: unknown = JSON.parse(text);
  assert.ok(Array.isArray(parts) && parts.every((part) => typeof part === 'string'));
  return parts;
}

/** What it copies of the build context, and where to. */
export function copiesOf({
  instructions,
}: Stage): { from: string[]; to: string; stage?: string }[] {
  return instructions
    .filter(({ word }) => word === 'COPY')
    .map(({ rest }) => {
      const [, stage, paths = ''] = /^(?:--from=(\S+) )?(.*)$/.exec(rest) ?? [];
      const from = paths.split(' ');
      const to = from.pop() ?? '';
      return { from, to, ...(stage !== undefined && { stage }) };
    });
}

/** What the stage sets for the program. */
export function environmentOf(stage: Stage): Readonly<Record<string, string>> {
  const pairs = only(stage, 'ENV').split(' ');
  return Object.fromEntries(pairs.map((pair) => pair.split('=')));
}
