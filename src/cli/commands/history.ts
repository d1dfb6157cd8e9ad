/**
 * `quorate history`: every value one descriptor had, each held against the verified entry that put it.
 * The list itself is the server's word, so the newest must also be what the head's set proves.
 */
import type { Command } from 'commander';
import type { Client } from '../../client/client.ts';
import type { Json } from '../../core/canonical.ts';
import { Check } from '../../core/check.ts';
import { RegistryError } from '../../core/error.ts';
import type { Hash } from '../../core/hash.ts';
import { changesOf, type Descriptor } from '../../core/payload.ts';
import { parseCount, parseKey } from '../arguments.ts';
import type { Context } from '../context.ts';
import { verified } from '../failure.ts';
import { keyOf, valueHashOf } from '../plan.ts';
import { showJson } from '../text.ts';

interface Key {
  readonly kind: string;
  readonly id: string;
}

interface Span {
  readonly set_version: number;
  /** `null`: current. */
  readonly end_version: number | null;
  readonly value_hash: Hash;
  /** `null`: erased. */
  readonly descriptor: Descriptor | null;
}

/** As verified: the version of the entry that erased it, `null` for a value that is there. */
type KnownSpan = Span & { readonly erased_by: number | null };

export function defineHistory(command: Command, context: Context): void {
  command
    .argument('<kind/id>', 'which descriptor', parseKey)
    .option('-n, --number <count>', 'how many values, at most 1000', parseCount, 100)
    .action((key: Key, options: { number: number }) => showHistory(context, key, options.number));
}

async function showHistory(context: Context, key: Key, count: number): Promise<void> {
  const client = await context.client();
  const { descriptor } = await verified(client.descriptor(key));
  const spans = await knownSpans(client, key, count);
  assertNewest(key, { spans, current: descriptor });
  if (spans.length === 0)
    throw new RegistryError(
      'not_found',
      `expected ${keyOf(key)} to have been registered, got nothing`,
    );
  for (const span of spans) await printSpan(context, span);
}

/** An answer may hold fewer than were asked for: the next goes on below it, once this one is verified. */
async function knownSpans(client: Client, key: Key, count: number): Promise<readonly KnownSpan[]> {
  const most = Math.min(count, 1000);
  const known: KnownSpan[] = [];
  while (known.length < most) {
    const limit = most - known.length;
    const page = await servedPage(client, key, { limit, before: known.at(-1)?.set_version });
    if (page.length === 0) break;
    for (const span of page) known.push(await verified(knownSpan(client, key, span)));
  }
  return known;
}

async function servedPage(
  client: Client,
  key: Key,
  { limit, before }: { readonly limit: number; readonly before: number | undefined },
): Promise<readonly Span[]> {
  const check = new Check('unexpected_answer');
  const below = before === undefined ? '' : `&before=${before}`;
  const path = `/registry/history/${keyOf(key)}?limit=${limit}${below}`;
  const answer = check.object((await client.unverifiedJson(path)) as Json, '');
  return check.array(answer.items, '/items', { min: 0, max: limit }).map((item, i) => {
    const place = `/items/${i}`;
    const span = check.object(item, place);
    const descriptor =
      (span.descriptor ?? null) === null
        ? null
        : check.object(span.descriptor, `${place}/descriptor`);
    const served =
      descriptor === null
        ? null
        : { ...key, spec: check.object(descriptor.spec, `${place}/descriptor/spec`) };
    return {
      set_version: check.integer(span.set_version, `${place}/set_version`, {
        min: 0,
        ...(before !== undefined && { max: before - 1 }),
      }),
      end_version:
        span.end_version === null
          ? null
          : check.integer(span.end_version, `${place}/end_version`, { min: 0 }),
      descriptor: served,
      value_hash:
        served === null ? check.hash(span.value_hash, `${place}/value_hash`) : valueHashOf(served),
    };
  });
}

/**
 * Throws `unexpected_answer` unless the entry of that version put this very value, or was erased. That an
 * erased one put it is the server's word: nobody can look any more.
 */
async function knownSpan(client: Client, key: Key, span: Span): Promise<KnownSpan> {
  const { set_version, descriptor, value_hash } = span;
  const { proposal, erasedBy } = await client.entry(set_version);
  const isPut =
    proposal !== null &&
    changesOf(proposal.payload).some(
      (change) =>
        change.op === 'put' && keyOf(change) === keyOf(key) && valueHashOf(change) === value_hash,
    );
  const isTold = descriptor === null ? erasedBy !== null : isPut;
  if (isTold) return { ...span, erased_by: erasedBy };
  throw new RegistryError(
    'unexpected_answer',
    `expected version ${set_version} to put ${keyOf(key)} as ${value_hash}, got another entry`,
  );
}

function assertNewest(
  key: Key,
  { spans, current }: { readonly spans: readonly Span[]; readonly current: Descriptor | null },
): void {
  const [newest] = spans;
  const claimed = newest !== undefined && newest.end_version === null ? newest.value_hash : null;
  const proven = current === null ? null : valueHashOf(current);
  if (claimed !== proven)
    throw new RegistryError(
      'invalid_proof',
      `expected the newest value of ${keyOf(key)} to be ${proven ?? 'absent'} as proven, got ${claimed ?? 'absent'}`,
    );
}

async function printSpan({ globals, print, printJson }: Context, span: KnownSpan): Promise<void> {
  if (globals.isJson) return printJson(span);
  const until = span.end_version === null ? 'now' : `version ${span.end_version}`;
  const value =
    span.descriptor === null
      ? `erased by version ${span.erased_by}`
      : showJson(span.descriptor.spec);
  await print(`version ${span.set_version} to ${until}  ${value}`);
}
