/** Lies about entries, the set and the stream, each with the code it must be caught with wherever it is told. */
import type { Approval } from '../../src/core/approval.ts';
import { decodeBase64, encodeBase64, encodeUtf8 } from '../../src/core/bytes.ts';
import { canonicalText } from '../../src/core/canonical.ts';
import { formatHash, parseHash } from '../../src/core/hash.ts';
import { type LieRow, NEWEST, type Place } from './client-campaign.ts';
import { branchAt, flipped } from './client-lie-rows.ts';
import {
  altered,
  at,
  edit,
  editLeaf,
  type Log,
  type LogEntry,
  ndjson,
  reseal,
  serve,
} from './client-lies.ts';
import type { Lie } from './client-server.ts';
import { LogView } from './client-tree.ts';
import { put } from './registry.ts';
import { descriptorsPayload, makeLogSigner, makeSigner } from './signers.ts';

const MALLORY = makeSigner('mallory');

/** The log with one entry changed, every hash made right, signed with the stolen log key. */
function forged({ log, at: version }: Place, change: (entry: LogEntry) => LogEntry): Lie {
  return serve(reseal(edit(log, version, change), version));
}

function reapproved(place: Place, change: (approvals: readonly Approval[]) => readonly Approval[]) {
  return forged(place, (entry) => ({ ...entry, approvals: change(entry.approvals) }));
}

/** The lines of the page, the changed one counted from the first new entry. */
function page(
  { trusted, at: version }: Place,
  change: (lines: string[], i: number) => string[],
): Lie {
  return at('/registry/entries', async (_path, honest) => {
    const lines = (await (await honest()).text()).trimEnd().split('\n');
    return ndjson(`${change(lines, version - trusted - 1).join('\n')}\n`);
  });
}

/** The entries of `log` under the honest checkpoint. */
function entriesOf(log: Log): Lie {
  return serve(log, { isHeadHonest: true });
}

function other({ log, at: version, pick }: Place): LogEntry {
  const others = log.filter(({ leaf }) => leaf.type === 'descriptors' && leaf.version !== version);
  return others[pick(others.length)] ?? (log[1] as LogEntry);
}

export const ENTRY_LIES: readonly LieRow[] = [
  {
    lie: 'a swapped payload under the honest leaf',
    code: 'invalid_signature',
    tell: (place) =>
      entriesOf(
        edit(place.log, place.at, (entry) => ({ ...entry, payload: other(place).payload })),
      ),
  },
  {
    lie: 'a changed payload with its hashes made right',
    code: 'invalid_signature',
    tell: (place) =>
      forged(place, (entry) => ({
        ...entry,
        payload: { ...entry.payload, note: `changed ${place.pick(1e9)}` },
      })),
  },
  {
    lie: 'a dropped approval',
    code: 'quorum_not_reached',
    tell: (place) => reapproved(place, (approvals) => approvals.toSpliced(place.pick(2), 1)),
  },
  {
    lie: 'a duplicated approval',
    code: 'invalid_approval',
    tell: (place) => reapproved(place, ([first]) => (first ? [first, first] : [])),
  },
  {
    lie: 'a replayed approval, of another payload',
    code: 'invalid_signature',
    tell: (place) =>
      reapproved(place, ([first]) =>
        [first, other(place).approvals[1]].filter((approval) => approval !== undefined),
      ),
  },
  {
    lie: 'an approval by a stranger',
    code: 'unknown_signer',
    tell: (place) =>
      reapproved(place, ([first]) =>
        first
          ? [
              MALLORY.approve(descriptorsPayload(place.history.stage.registryHash, [put('x', {})])),
              first,
            ]
          : [],
      ),
  },
  {
    lie: 'a changed bit in an approval',
    code: 'invalid_signature',
    tell: (place) =>
      reapproved(place, (approvals) =>
        approvals.map((approval, i) => {
          const sig = decodeBase64(approval.sig) ?? new Uint8Array(64);
          return i === 0
            ? { ...approval, sig: encodeBase64(flipped(sig, place.pick(512))) }
            : approval;
        }),
      ),
  },
  {
    lie: 'an entry once more at the end',
    code: 'replayed',
    tell: ({ log, trusted }) => {
      const last = log.slice(0, trusted + 1);
      const again = last.at(-1) ?? (log[0] as LogEntry);
      const leaf = { ...again.leaf, version: trusted + 1 };
      return serve(reseal([...last, { ...again, leaf }], trusted + 1));
    },
  },
  {
    lie: 'another commit time, and all after it made to fit',
    code: 'invalid_entry',
    tell: ({ log, at: version }) => entriesOf(branchAt(log, version)),
  },
  {
    lie: 'another set root, by the stolen log key',
    code: 'invalid_entry',
    tell: ({ log, at: version, pick }) => {
      const root = formatHash(flipped(parseHash(log[version]?.leaf.set_root ?? 'b3:'), pick(256)));
      return serve(reseal(editLeaf(log, version, { set_root: root }), version + 1));
    },
  },
  {
    lie: 'the leaf of another version',
    code: 'unexpected_answer',
    tell: ({ log, at: version, pick }) => {
      const leaf = log[(version + 1 + pick(NEWEST)) % (NEWEST + 1)]?.leaf;
      return entriesOf(edit(log, version, (entry) => ({ ...entry, leaf: leaf ?? entry.leaf })));
    },
  },
  {
    lie: 'entries out of order',
    code: 'unexpected_answer',
    // A page of one entry has no order: the one after the newest is not there either.
    tell: (place) =>
      page(place, (lines, i) => {
        const j = i === 0 ? lines.length - 1 : i - 1;
        const [a = '', b = ''] = [lines[i], lines[j]];
        return i === j ? [`${a}x`] : lines.with(i, b).with(j, a);
      }),
  },
  {
    lie: 'a missing entry',
    code: 'unexpected_answer',
    tell: (place) =>
      page(place, (lines, i) => (i === lines.length - 1 ? [] : lines.toSpliced(i, 1))),
  },
  {
    lie: 'an entry twice',
    code: 'unexpected_answer',
    tell: (place) =>
      page(place, (lines, i) => lines.toSpliced(Math.min(i, lines.length - 1), 0, lines[i] ?? '')),
  },
  {
    lie: 'a page that stops inside a line',
    code: 'unexpected_answer',
    tell: ({ pick }) =>
      at('/registry/entries', async (_path, honest) => {
        const text = await (await honest()).text();
        const line = text.lastIndexOf('\n', text.length - 2) + 1;
        return ndjson(text.slice(0, line + 1 + pick(text.length - line - 2)));
      }),
  },
  {
    lie: 'no entries where the checkpoint claims some',
    code: 'unexpected_answer',
    tell: (place) => page(place, () => []),
  },
];

interface ProofJson {
  readonly siblings: readonly string[];
  readonly leaf: Record<string, string>;
}

const PROOFS = `/registry/${NEWEST}/descriptors/`;
const SET = `/registry/${NEWEST}/set`;

/** Names of descriptors that are there, by the number they were put with. */
export const PRESENT = [1, 2, 6, 7, 8, 12, 13, 14, 18, 19, 20, 24] as const;

function keyAt({ pick }: Place): { readonly kind: string; readonly id: string } {
  return { kind: 'service', id: `d-${PRESENT[pick(PRESENT.length)]}` };
}

export const READ_LIES: readonly LieRow[] = (
  [
    {
      lie: 'a forged set proof',
      code: 'invalid_proof',
      tell: ({ pick }) =>
        altered(PROOFS, (answer) => {
          const proof = answer.proof as ProofJson;
          const i = pick(proof.siblings.length);
          const hash = parseHash((proof.siblings[i] ?? '') as `b3:${string}`);
          const siblings = proof.siblings.with(i, formatHash(flipped(hash, pick(256))));
          return { ...answer, proof: { ...proof, siblings } };
        }),
      ask: (client, place) => client.descriptor(keyAt(place)),
    },
    {
      lie: 'an absent descriptor shown',
      code: 'invalid_proof',
      tell: ({ pick }) =>
        altered(PROOFS, (answer) => ({
          ...answer,
          descriptor: { kind: 'service', id: 'absent', spec: { n: pick(1e9) } },
        })),
      ask: (client) => client.descriptor({ kind: 'service', id: 'absent' }),
    },
    {
      lie: 'a present descriptor denied, with the proof of an absent one',
      code: 'invalid_proof',
      tell: (place) =>
        at(PROOFS, (_path, honest) => honest(`${PROOFS}${absentBeside(place)}?proof=1`)),
      ask: (client, place) => client.descriptor(keyAt(place)),
    },
    {
      lie: 'a present descriptor denied under its own proof',
      code: 'invalid_proof',
      tell: () => altered(PROOFS, (answer) => ({ ...answer, descriptor: null })),
      ask: (client, place) => client.descriptor(keyAt(place)),
    },
    {
      lie: 'another value under the honest proof',
      code: 'invalid_proof',
      tell: ({ pick }) =>
        altered(PROOFS, (answer) => ({
          ...answer,
          descriptor: { ...(answer.descriptor as object), spec: { n: 1e6 + pick(1e6) } },
        })),
      ask: (client, place) => client.descriptor(keyAt(place)),
    },
    {
      lie: 'a descriptor missing in the set',
      code: 'invalid_proof',
      tell: ({ pick }) =>
        altered(SET, (set) => {
          const items = set.items as readonly unknown[];
          return { ...set, items: items.toSpliced(pick(items.length), 1) };
        }),
      ask: (client) => client.set(),
    },
  ] satisfies readonly LieRow[]
).map((row) => ({ ...row, isCaughtUp: true }));

/** Its path in the set is beside that of some other descriptor. */
function absentBeside({ pick }: Place): string {
  return `service/nothing-${pick(1e9)}`;
}

/** The honest stream, and in it one event with this note. */
function streamed(note: (place: Place) => Promise<string>): LieRow['tell'] {
  return (place) =>
    at('/registry/stream', async () => {
      const data = canonicalText({ version: NEWEST + 1, checkpoint: await note(place) });
      const event = encodeUtf8(`event: registry.update\nid: ${NEWEST + 1}\ndata: ${data}\n\n`);
      const body = new ReadableStream<Uint8Array>({ start: (stream) => stream.enqueue(event) });
      return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
    });
}

export const STREAM_LIES: readonly LieRow[] = (
  [
    {
      lie: 'a checkpoint on the stream by nobody known',
      code: 'invalid_signature',
      tell: streamed(({ view }) => view.note({ signers: [makeLogSigner('mallory')] })),
    },
    {
      lie: 'a checkpoint on the stream with a changed size',
      code: 'invalid_signature',
      tell: streamed(async ({ view, pick }) =>
        (await view.note()).replace('\n25\n', `\n${26 + pick(1e6)}\n`),
      ),
    },
    {
      lie: 'a checkpoint on the stream of another branch',
      code: 'fork',
      tell: streamed(({ log, past }) => new LogView(branchAt(log, past)).note()),
    },
  ] satisfies readonly LieRow[]
).map((row) => ({
  ...row,
  isCaughtUp: true,
  ask: async (client) => {
    for await (const { head } of client.follow()) return head;
    return undefined;
  },
}));
