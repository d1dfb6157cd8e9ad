/** `quorate diff`: what differs between two versions, net of what came and went between them. */
import type { Command } from 'commander';
import { Answers } from '../../client/answers.ts';
import type { Client } from '../../client/client.ts';
import { treeOf } from '../../client/known-set.ts';
import type { Json } from '../../core/canonical.ts';
import { Check } from '../../core/check.ts';
import { RegistryError } from '../../core/error.ts';
import type { Hash } from '../../core/hash.ts';
import { type Change, compareKeys, type Descriptor } from '../../core/payload.ts';
import { parseVersion } from '../arguments.ts';
import type { Context } from '../context.ts';
import { verified } from '../failure.ts';
import { createTransport } from '../http-log.ts';
import { type NetChange, type NetChanges, netChanges } from '../net-changes.ts';
import { countChanges, keyOf, valueHashOf } from '../plan.ts';
import { showChanges } from '../show-changes.ts';

interface Range {
  readonly from: number;
  readonly to: number;
}

interface Difference {
  readonly kind: string;
  readonly id: string;
  readonly before: Descriptor | null;
  readonly after: Descriptor | null;
}

export function defineDiff(command: Command, context: Context): void {
  command
    .argument('<from>', 'a version', parseVersion)
    .argument('[to]', 'a version; default: the head', parseVersion)
    .action((from: number, to: number | undefined) => diff(context, from, to));
}

async function diff(context: Context, from: number, given: number | undefined): Promise<void> {
  const client = await context.client();
  const head = await verified(client.head());
  const to = given ?? head.version;
  const latest = Math.max(from, to);
  if (latest > head.version)
    throw new RegistryError('not_found', `expected versions up to ${head.version}, got ${latest}`);
  const range = { from: Math.min(from, to), to: latest };
  const bar = context.progress('entries verified');
  const net = await netChanges(client, { ...range, onProgress: bar.show });
  await bar.end();
  for (const { version, erasedBy } of net.erased)
    await context.say(
      `version ${version} was erased by version ${erasedBy}: the sets before and after are compared instead`,
    );
  const forward = await verified(
    net.erased.length === 0
      ? withDescriptors(client, net, range)
      : betweenSets({ client, answers: new Answers(createTransport(context)) }, range),
  );
  const differences = from <= to ? forward : forward.map(reversed);
  await (context.globals.isJson
    ? printLines(context, differences)
    : printDifferences(context, differences));
}

async function printLines(
  { printJson }: Context,
  differences: readonly Difference[],
): Promise<void> {
  for (const difference of differences) await printJson(difference);
}

async function printDifferences(
  { print, say, style }: Context,
  differences: readonly Difference[],
): Promise<void> {
  const before = new Map(differences.map((difference) => [keyOf(difference), difference.before]));
  const changes = differences.map(asChange);
  const lines = showChanges(changes, { current: (key) => before.get(keyOf(key)), style });
  if (lines.length > 0) await print(lines.join('\n'));
  const { added, changed, removed } = countChanges(changes);
  await say(`${added} added, ${changed} changed, ${removed} removed`);
}

/** The hashes are verified; a descriptor that no entry in the range brought is asked for and held against its hash. */
async function withDescriptors(
  client: Client,
  net: NetChanges,
  { from, to }: Range,
): Promise<readonly Difference[]> {
  const isKnown = (hash: Hash | null) => hash === null || net.brought.has(hash);
  const isComplete = net.changes.every(({ before }) => isKnown(before));
  const found = new Map(net.brought);
  if (!isComplete)
    for (const item of await servedBefore(client, { from, to })) found.set(valueHashOf(item), item);
  const named = (change: NetChange, hash: Hash | null): Descriptor | null => {
    const item = hash === null ? null : found.get(hash);
    if (item === undefined)
      throw new RegistryError(
        'unexpected_answer',
        `expected the value ${hash} that ${keyOf(change)} had, got another`,
      );
    return item;
  };
  return net.changes.map((change) => ({
    kind: change.kind,
    id: change.id,
    before: named(change, change.before),
    after: named(change, change.after),
  }));
}

/** The sets at both ends, each held against the root in its verified leaf. */
async function betweenSets(
  parts: { readonly client: Client; readonly answers: Answers },
  { from, to }: Range,
): Promise<readonly Difference[]> {
  const [before, after] = [await setAt(parts, from), await setAt(parts, to)];
  const keys = new Map([...before, ...after].map(([name, { kind, id }]) => [name, { kind, id }]));
  return [...keys]
    .map(([name, key]) => ({
      ...key,
      before: before.get(name) ?? null,
      after: after.get(name) ?? null,
    }))
    .filter((each) => hashOrNull(each.before) !== hashOrNull(each.after))
    .sort(compareKeys);
}

async function setAt(
  { client, answers }: { readonly client: Client; readonly answers: Answers },
  version: number,
): Promise<ReadonlyMap<string, Descriptor>> {
  const { leaf } = await client.entry(version);
  const items = await answers.set({ version, size: leaf.set_size });
  treeOf(items, { root: leaf.set_root, size: leaf.set_size });
  return new Map(items.map((item) => [keyOf(item), item]));
}

function hashOrNull(item: Descriptor | null): Hash | null {
  return item === null ? null : valueHashOf(item);
}

function readDescriptor(check: Check, value: Json, pointer: string): Descriptor {
  const { id, kind, spec } = check.members(value, pointer, ['id', 'kind', 'spec']);
  return { kind: String(kind), id: String(id), spec: check.object(spec, `${pointer}/spec`) };
}

async function servedBefore(client: Client, { from, to }: Range): Promise<readonly Descriptor[]> {
  const check = new Check('unexpected_answer');
  const answer = check.object(
    (await client.unverifiedJson(`/registry/diff?from=${from}&to=${to}`)) as Json,
    '',
  );
  return check
    .array(answer.changes, '/changes', { min: 0, max: Number.MAX_SAFE_INTEGER })
    .flatMap((change, i) => {
      const { before = null } = check.object(change, `/changes/${i}`);
      if (before === null) return [];
      return [readDescriptor(check, before, `/changes/${i}/before`)];
    });
}

function reversed({ kind, id, before, after }: Difference): Difference {
  return { kind, id, before: after, after: before };
}

function asChange({ kind, id, before, after }: Difference): Change {
  const replaces = before === null ? null : valueHashOf(before);
  if (after !== null) return { op: 'put', kind, id, spec: after.spec, replaces };
  // Net changes differ: what is absent after was there before.
  return { op: 'remove', kind, id, replaces: replaces ?? valueHashOf({ kind, id, spec: {} }) };
}
