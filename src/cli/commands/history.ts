/**
 * `quorate history`: every value one descriptor had, each held against the verified entry that put it.
 * The list itself is the server's word, so the newest must also be what the head's set proves.
 */
import type { Command } from 'commander';
import type { Client } from '../../client/client.ts';
import type { Json } from '../../core/canonical.ts';
import { Check } from '../../core/check.ts';
import { RegistryError } from '../../core/error.ts';
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
  readonly descriptor: Descriptor;
}

export function defineHistory(command: Command, context: Context): void {
  command
    .argument('<kind/id>', 'which descriptor', parseKey)
    .option('-n, --number <count>', 'how many values, at most 1000', parseCount, 100)
    .action((key: Key, options: { number: number }) => showHistory(context, key, options.number));
}

async function showHistory(context: Context, key: Key, count: number): Promise<void> {
  const client = await context.client();
  const { descriptor } = await verified(client.descriptor(key));
  const spans = await servedSpans(client, key, count);
  for (const span of spans) await verified(assertPut(client, span));
  assertNewest(key, { spans, current: descriptor });
  if (spans.length === 0)
    throw new RegistryError(
      'not_found',
      `expected ${keyOf(key)} to have been registered, got nothing`,
    );
  for (const span of spans) await printSpan(context, span);
}

async function servedSpans(client: Client, key: Key, count: number): Promise<readonly Span[]> {
  const check = new Check('unexpected_answer');
  const path = `/registry/history/${keyOf(key)}?limit=${Math.min(count, 1000)}`;
  const answer = check.object((await client.unverifiedJson(path)) as Json, '');
  return check.array(answer.items, '/items', { min: 0, max: 1000 }).map((item, i) => {
    const place = `/items/${i}`;
    const span = check.object(item, place);
    const descriptor = check.object(span.descriptor, `${place}/descriptor`);
    return {
      set_version: check.integer(span.set_version, `${place}/set_version`, { min: 0 }),
      end_version:
        span.end_version === null
          ? null
          : check.integer(span.end_version, `${place}/end_version`, { min: 0 }),
      descriptor: { ...key, spec: check.object(descriptor.spec, `${place}/descriptor/spec`) },
    };
  });
}

/** Throws `unexpected_answer` unless the entry of that version put this very value. */
async function assertPut(client: Client, { set_version, descriptor }: Span): Promise<void> {
  const { proposal } = await client.entry(set_version);
  const hash = valueHashOf(descriptor);
  const isPut = changesOf(proposal.payload).some(
    (change) =>
      change.op === 'put' && keyOf(change) === keyOf(descriptor) && valueHashOf(change) === hash,
  );
  if (!isPut)
    throw new RegistryError(
      'unexpected_answer',
      `expected version ${set_version} to put ${keyOf(descriptor)} as ${hash}, got another entry`,
    );
}

function assertNewest(
  key: Key,
  { spans, current }: { readonly spans: readonly Span[]; readonly current: Descriptor | null },
): void {
  const [newest] = spans;
  const claimed =
    newest !== undefined && newest.end_version === null ? valueHashOf(newest.descriptor) : null;
  const proven = current === null ? null : valueHashOf(current);
  if (claimed !== proven)
    throw new RegistryError(
      'invalid_proof',
      `expected the newest value of ${keyOf(key)} to be ${proven ?? 'absent'} as proven, got ${claimed ?? 'absent'}`,
    );
}

async function printSpan({ globals, print, printJson }: Context, span: Span): Promise<void> {
  if (globals.isJson) return printJson({ ...span, value_hash: valueHashOf(span.descriptor) });
  const until = span.end_version === null ? 'now' : `version ${span.end_version}`;
  await print(`version ${span.set_version} to ${until}  ${showJson(span.descriptor.spec)}`);
}
