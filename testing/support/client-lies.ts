/** What a dishonest server would say: logs rewritten from the real one, with or without their hashes made right. */
import type { Approval } from '../../src/core/approval.ts';
import { encodeApprovals } from '../../src/core/approval.ts';
import { encodeUtf8 } from '../../src/core/bytes.ts';
import { canonicalBytes, canonicalText } from '../../src/core/canonical.ts';
import { hashOf } from '../../src/core/hash.ts';
import { encodeLeaf, entryHash, type Leaf } from '../../src/core/leaf.ts';
import type { DecodedPayload, Payload } from '../../src/core/payload.ts';
import type { Lie, Stage } from './client-server.ts';
import { LogView, type NoteOptions } from './client-tree.ts';
import type { TestSigner } from './signers.ts';

/** An entry as it travels. */
export interface LogEntry {
  readonly approvals: readonly Approval[];
  readonly leaf: Leaf;
  readonly payload: Payload;
}

export type Log = readonly LogEntry[];

export async function readLog(stage: Pick<Stage, 'get'>): Promise<Log> {
  const text = await (await stage.get('/registry/entries?from=0&limit=1000')).text();
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** `log` with one entry replaced. */
export function edit(log: Log, version: number, change: (entry: LogEntry) => LogEntry): Log {
  return log.map((entry) => (entry.leaf.version === version ? change(entry) : entry));
}

export function editLeaf(log: Log, version: number, members: Partial<Leaf>): Log {
  return edit(log, version, (entry) => ({ ...entry, leaf: { ...entry.leaf, ...members } }));
}

/** Every hash and link made right from `from` on: a lie that hangs together. */
export function reseal(log: Log, from: number): Log {
  const sealed: LogEntry[] = [];
  for (const { approvals, leaf, payload } of log) {
    const before = sealed.at(-1);
    const payloadBytes = canonicalBytes(payload);
    const seals: Partial<Leaf> = {
      approvals_b3: hashOf(canonicalBytes(approvals)),
      payload_b3: hashOf(payloadBytes),
      payload_bytes: payloadBytes.length,
      prev_hash: before === undefined ? null : entryHash(encodeLeaf(before.leaf)),
    };
    sealed.push({ approvals, leaf: leaf.version < from ? leaf : { ...leaf, ...seals }, payload });
  }
  return sealed;
}

/** One entry more, as a server would commit it without asking the rules. */
export function extend(
  log: Log,
  proposal: DecodedPayload,
  by: readonly TestSigner[],
  members: Partial<Leaf> = {},
): Log {
  const last = log.at(-1);
  if (last === undefined) throw new Error('expected a log to extend');
  const approvals = by.map((signer) => signer.approve(proposal));
  const version = last.leaf.version + 1;
  const leaf: Leaf = { ...last.leaf, type: proposal.payload.type, version, ...members };
  const stored: readonly Approval[] = JSON.parse(
    new TextDecoder().decode(encodeApprovals(approvals)),
  );
  return reseal([...log, { approvals: stored, leaf, payload: proposal.payload }], version);
}

/**
 * Serves `log` for the registry's, with the checkpoint and the proofs that it would have, signed with
 * the log's own key unless told otherwise; everything else is honest. `isHeadHonest`: so are
 * checkpoint and proofs.
 */
export function serve(
  log: Log,
  options: NoteOptions & { readonly isHeadHonest?: boolean } = {},
): Lie {
  const view = new LogView(log);
  return async (path, honest) => {
    const { pathname, searchParams } = new URL(path, 'http://log');
    const [, proof, from, size] =
      /^\/registry\/proof\/(inclusion|consistency)\/(\d+)\/(\d+)$/.exec(pathname) ?? [];
    const number = /^\/registry\/(\d+)$/.exec(pathname)?.[1];
    if (pathname === '/checkpoint')
      return options.isHeadHonest === true ? honest() : plain(await view.note(options));
    if (pathname === '/registry/head') return json(headOf(log));
    if (pathname === '/registry/entries') {
      const first = Number(searchParams.get('from'));
      return lines(log.slice(first, first + Number(searchParams.get('limit'))));
    }
    if (proof !== undefined && options.isHeadHonest === true) return honest();
    if (proof !== undefined && Number(from) <= Number(size) && Number(size) <= log.length)
      return json(view[proof as 'inclusion' | 'consistency'](Number(from), Number(size)));
    if (number === undefined) return honest();
    return Number(number) < log.length ? json(log[Number(number)]) : honest('/registry/999999');
  };
}

export function headOf(log: Log): Record<string, unknown> {
  const leaf = log.at(-1)?.leaf;
  const genesis = log[0];
  if (leaf === undefined || genesis === undefined) throw new Error('expected a log with entries');
  const {
    committed_at,
    governance_version,
    origin,
    payload_b3,
    set_root,
    set_size,
    type,
    version,
  } = leaf;
  const entry_hash = entryHash(encodeLeaf(leaf));
  const registry = hashOf(canonicalBytes(genesis.payload));
  return {
    committed_at,
    entry_hash,
    governance_version,
    origin,
    payload_b3,
    registry,
    set_root,
    set_size,
    type,
    version,
  };
}

export function json(value: unknown): Response {
  return new Response(canonicalText(value), { headers: { 'content-type': 'application/json' } });
}

export function plain(text: string | ReadableStream<Uint8Array>): Response {
  return new Response(text, { headers: { 'content-type': 'text/plain; charset=utf-8' } });
}

export function lines(entries: readonly unknown[]): Response {
  return ndjson(entries.map((entry) => `${canonicalText(entry)}\n`).join(''));
}

export function ndjson(body: string | ReadableStream<Uint8Array>): Response {
  return new Response(body, { headers: { 'content-type': 'application/x-ndjson' } });
}

/** A body that never ends: `text` again and again. */
export function endless(text: string): ReadableStream<Uint8Array> {
  const chunk = encodeUtf8(text);
  return new ReadableStream({ pull: (controller) => controller.enqueue(chunk) });
}

/** `response` said where the request begins with `prefix`. */
export function at(
  prefix: string,
  answer: (
    path: string,
    honest: (path?: string) => Promise<Response>,
  ) => Response | Promise<Response>,
): Lie {
  return (path, honest) => (path.startsWith(prefix) ? answer(path, honest) : honest());
}

/** The honest checkpoint with its note changed. */
export function alteredNote(change: (note: string) => string | Promise<string>): Lie {
  return at('/checkpoint', async (_path, honest) =>
    plain(await change(await (await honest()).text())),
  );
}

/** The honest JSON answer with something changed. */
export function altered(prefix: string, change: (value: Record<string, unknown>) => unknown): Lie {
  return at(prefix, async (_path, honest) => {
    const response = await honest();
    return json(change(await response.json()));
  });
}
