/** Lies about checkpoints, witnesses and proofs, each with the code it must be caught with wherever it is told. */
import { decodeBase64, encodeBase64 } from '../../src/core/bytes.ts';
import { encodeSignature, parseNote } from '../../src/core/tlog/note.ts';
import {
  DEMANDS,
  type LieRow,
  NOW_SECONDS,
  type Place,
  STRANGER,
  WITNESSES,
} from './client-campaign.ts';
import {
  altered,
  alteredNote,
  at,
  editLeaf,
  type Log,
  plain,
  reseal,
  serve,
} from './client-lies.ts';
import type { Lie } from './client-server.ts';
import { LogView, signNote, withSignatures } from './client-tree.ts';
import { makeLogSigner } from './signers.ts';

const MALLORY = makeLogSigner('mallory');

export function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  return bytes.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
}

/** One bit of one hash of a proof. */
function flippedProof(prefix: string, { pick }: Place): Lie {
  return altered(prefix, (answer) => {
    const proof = [...(answer.proof as string[])];
    const i = pick(proof.length);
    const hash = decodeBase64(proof[i] ?? '') ?? new Uint8Array(32);
    return { ...answer, proof: proof.with(i, encodeBase64(flipped(hash, pick(256)))) };
  });
}

/** The same approvals and payloads, but for the time at which one version was committed. */
export function branchAt(log: Log, version: number): Log {
  const leaf = log[version]?.leaf;
  const later = { committed_at: '2026-11-21T09:00:00.001Z' };
  return leaf === undefined
    ? log
    : reseal(laterFrom(editLeaf(log, version, later), version), version + 1);
}

/** Time never goes back. */
function laterFrom(log: Log, version: number): Log {
  return log
    .slice(version + 1)
    .reduce<Log>(
      (all, { leaf }) => editLeaf(all, leaf.version, { committed_at: '2026-11-21T09:00:00.001Z' }),
      log,
    );
}

/** A root that no leaves give. */
function noRoot({ pick }: Place): Uint8Array {
  return new Uint8Array(32).map(() => pick(256));
}

function textOf(note: string): string {
  return parseNote(note).text;
}

/** The honest note, changed in its first signature. */
function resigned(change: (signature: Uint8Array) => Uint8Array): Lie {
  return alteredNote((note) => {
    const { text, signatures } = parseNote(note);
    return [
      `${text}\n`,
      ...signatures.map((s) => encodeSignature({ ...s, signature: change(s.signature) })),
    ].join('');
  });
}

export const CHECKPOINT_LIES: readonly LieRow[] = [
  {
    lie: 'an old head, as the log once signed it',
    code: 'rollback',
    tell: ({ log, past }) => serve(log.slice(0, past + 1)),
  },
  {
    lie: 'no head at all',
    code: 'rollback',
    tell: () => at('/checkpoint', (_path, honest) => honest('/registry/999999')),
  },
  {
    lie: 'another root for the trusted size, by the stolen log key',
    code: 'fork',
    tell: (place) =>
      at('/checkpoint', async () =>
        plain(await signNote({ size: place.trusted + 1, root: noRoot(place) })),
      ),
  },
  {
    lie: 'another branch of the past, by the stolen log key',
    code: 'fork',
    tell: ({ log, past }) => serve(branchAt(log, past)),
  },
  {
    lie: 'another branch whose proofs are kept back',
    code: 'invalid_proof',
    tell: ({ log, past }) => {
      const branch = serve(branchAt(log, past));
      return (path, honest, request) =>
        path.startsWith('/registry/proof/inclusion')
          ? honest('/registry/999999')
          : branch(path, honest, request);
    },
  },
  {
    lie: 'another branch of the past, with the proof of the honest one',
    code: 'invalid_proof',
    tell: ({ log, past }) => {
      const branch = new LogView(branchAt(log, past));
      return at('/checkpoint', async () => plain(await branch.note()));
    },
  },
  {
    lie: 'a changed bit in the signature of the log key',
    code: 'invalid_signature',
    tell: ({ pick }) => resigned((signature) => flipped(signature, pick(512))),
  },
  {
    lie: 'another size under the signature',
    code: 'invalid_signature',
    tell: ({ pick }) => alteredNote((note) => note.replace('\n25\n', `\n${26 + pick(1e9)}\n`)),
  },
  {
    lie: 'another root under the signature',
    code: 'invalid_signature',
    tell: (place) =>
      alteredNote((note) => {
        const [origin, size, root = ''] = note.split('\n');
        const hash = flipped(decodeBase64(root) ?? new Uint8Array(32), place.pick(256));
        return note.replace(
          `${origin}\n${size}\n${root}`,
          `${origin}\n${size}\n${encodeBase64(hash)}`,
        );
      }),
  },
  {
    lie: 'the true head, signed by nobody known',
    code: 'invalid_signature',
    tell: ({ log }) => serve(log, { signers: [MALLORY] }),
  },
  {
    lie: 'an old head, signed by nobody known',
    code: 'invalid_signature',
    tell: ({ log, past }) => serve(log.slice(0, past + 1), { signers: [MALLORY] }),
  },
  {
    lie: 'a note without a signature',
    code: 'invalid_checkpoint',
    tell: () => alteredNote((note) => `${textOf(note)}\n`),
  },
  {
    lie: 'the head of another log by the same key',
    code: 'wrong_registry',
    tell: ({ log, pick }) => serve(log, { origin: `registry.example.com/test-${pick(1e6)}` }),
  },
  {
    lie: 'a wrong hash in a consistency proof',
    code: 'invalid_proof',
    tell: (place) => flippedProof('/registry/proof/consistency', place),
  },
  {
    lie: 'a consistency proof without its end',
    code: 'invalid_proof',
    tell: () =>
      altered('/registry/proof/consistency', (answer) => ({
        ...answer,
        proof: (answer.proof as string[]).slice(0, -1),
      })),
  },
  {
    lie: 'a consistency proof of other sizes',
    code: 'invalid_proof',
    tell: ({ past }) =>
      at('/registry/proof/consistency', (_path, honest) =>
        honest(`/registry/proof/consistency/${past + 1}/25`),
      ),
  },
  {
    lie: 'a size beyond all entries, by the stolen log key',
    code: 'unexpected_answer',
    tell: (place) =>
      at('/checkpoint', async () =>
        plain(await signNote({ size: 26 + place.pick(2 ** 40), root: noRoot(place) })),
      ),
  },
];

/** The honest note with these cosignatures: which witness, and how many seconds ago. */
function cosigned(
  seen: readonly (readonly [witness: number, secondsAgo: number])[],
  change: (note: string) => string = (note) => note,
): Lie {
  return alteredNote((note) =>
    change(
      withSignatures(
        note,
        seen.flatMap(([i, ago]) => WITNESSES[i]?.cosign(textOf(note), NOW_SECONDS - ago) ?? []),
      ),
    ),
  );
}

export const WITNESS_LIES: readonly LieRow[] = (
  [
    { lie: 'no cosignature', code: 'unwitnessed', tell: () => cosigned([]) },
    {
      lie: 'a missing cosignature',
      code: 'unwitnessed',
      tell: ({ pick }) => cosigned([[pick(3), pick(300)]]),
    },
    {
      lie: 'one witness twice',
      code: 'unwitnessed',
      tell: ({ pick }) => {
        const witness = pick(3);
        return cosigned([
          [witness, pick(300)],
          [witness, 300 + pick(300)],
        ]);
      },
    },
    {
      lie: 'a witness that nobody asked for',
      code: 'unwitnessed',
      tell: ({ pick }) =>
        cosigned([[pick(3), 1]], (note) =>
          withSignatures(note, [STRANGER.cosign(textOf(note), NOW_SECONDS)]),
        ),
    },
    {
      lie: 'the cosignature of another checkpoint',
      code: 'invalid_signature',
      tell: ({ view, past, pick }) => {
        const [one = STRANGER, two = STRANGER] = [WITNESSES[pick(2)], WITNESSES[2]];
        return alteredNote(async (note) => {
          const old = textOf(await view.note({ size: past + 1 }));
          return withSignatures(note, [
            one.cosign(textOf(note), NOW_SECONDS),
            two.cosign(old, NOW_SECONDS),
          ]);
        });
      },
    },
    {
      lie: 'a cosignature with another time',
      code: 'invalid_signature',
      tell: ({ pick }) =>
        alteredNote((note) => {
          const signature = WITNESSES[0]?.cosign(textOf(note), NOW_SECONDS - 1);
          const bytes = signature?.signature ?? new Uint8Array();
          // The low bits of the time, in bytes 4 to 7.
          const lied = {
            name: '',
            keyId: '',
            ...signature,
            signature: flipped(bytes, 32 + pick(32)),
          };
          return withSignatures(note, [lied]);
        }),
    },
    {
      lie: 'a stale time',
      code: 'stale',
      tell: ({ pick }) =>
        cosigned([
          [0, pick(100)],
          [1, 601 + pick(1e6)],
        ]),
    },
    {
      lie: 'a time to come',
      code: 'invalid_checkpoint',
      tell: ({ pick }) =>
        cosigned([
          [1, -301 - pick(1e6)],
          [2, -301 - pick(1e6)],
        ]),
    },
  ] satisfies readonly LieRow[]
).map((row) => ({ ...row, options: DEMANDS }));

export const PAST_LIES: readonly LieRow[] = (
  [
    {
      lie: 'a wrong hash in an inclusion proof',
      code: 'invalid_proof',
      tell: (place) => flippedProof('/registry/proof/inclusion', place),
    },
    {
      lie: 'the inclusion proof of another entry',
      code: 'invalid_proof',
      tell: ({ past, pick }) =>
        at('/registry/proof/inclusion', (_path, honest) =>
          honest(`/registry/proof/inclusion/${(past + 1 + pick(23)) % 24}/25`),
        ),
    },
    {
      lie: 'a past entry with another time',
      code: 'invalid_proof',
      tell: ({ log, past }) => serve(branchAt(log, past), { isHeadHonest: true }),
    },
    {
      lie: 'the entry of another version',
      code: 'unexpected_answer',
      tell: ({ past, pick }) =>
        at(`/registry/${past}`, (_path, honest) =>
          honest(`/registry/${(past + 1 + pick(23)) % 24}`),
        ),
    },
    {
      lie: 'a past entry with the payload of another',
      code: 'invalid_entry',
      tell: ({ log, past, pick }) =>
        altered(`/registry/${past}`, (entry) => ({
          ...entry,
          payload: log[(past + 1 + pick(23)) % 24]?.payload,
        })),
    },
  ] satisfies readonly LieRow[]
).map((row) => ({
  ...row,
  isCaughtUp: true,
  ask: (client, { past }) => client.entry(past),
}));
