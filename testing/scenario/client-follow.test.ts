/** Following through whatever a network does: random breaks, refusals, repeats and restarts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { memoryTrust } from '../../src/client/memory-trust.ts';
import { encodeUtf8 } from '../../src/core/bytes.ts';
import { type Lie, openClient, openStage, type Stage } from '../support/client-server.ts';

const VERSIONS = 12;
/**
 * As many requests as catching up may take after a restart: the checkpoint, a proof of it, a page, and a
 * proof for each descriptor in it. Fates come round, and without a calm this long no session may end.
 */
const CALM: readonly Fate[] = Array.from({ length: VERSIONS + 4 }, () => 'honest');

/** What befalls a request. */
const REQUEST_FATES = ['honest', 'broken', 'refused'] as const;
/** What befalls a piece of a stream. */
const PIECE_FATES = ['honest', 'cut', 'twice', 'invented', 'reset'] as const;
type Fate = (typeof REQUEST_FATES)[number] | (typeof PIECE_FATES)[number];

interface Chaos {
  readonly lie: Lie;
  readonly happened: Set<Fate>;
}

/** Fates come in turn, again and again; a run of nothing but trouble would never end. */
function chaos(requests: readonly Fate[], pieces: readonly Fate[]): Chaos {
  const happened = new Set<Fate>();
  const drawFrom = (fates: readonly Fate[]) => {
    let turn = 0;
    return () => {
      const fate = fates[turn++ % fates.length] ?? 'honest';
      happened.add(fate);
      return fate;
    };
  };
  const befallsRequest = drawFrom(requests);
  const befallsPiece = drawFrom(pieces);
  const lie: Lie = async (path, honest) => {
    const fate = befallsRequest();
    if (fate === 'broken') throw new TypeError('fetch failed');
    if (fate === 'refused') return new Response('busy', { status: 503 });
    const response = await honest();
    if (!path.startsWith('/registry/stream') || response.body === null) return response;
    return new Response(troubled(response.body, befallsPiece), { headers: response.headers });
  };
  return { lie, happened };
}

function troubled(body: ReadableStream<Uint8Array>, next: () => Fate): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream({
    pull: async (controller) => {
      const { value } = await reader.read();
      const fate = next();
      const invention = INVENTIONS[fate];
      if (invention !== undefined) controller.enqueue(encodeUtf8(invention));
      if (value !== undefined) controller.enqueue(value);
      if (value !== undefined && fate === 'twice') controller.enqueue(value);
      if (value === undefined || fate === 'cut') {
        await reader.cancel();
        controller.error(new TypeError('terminated'));
      }
    },
    cancel: () => reader.cancel(),
  });
}

const INVENTIONS: Partial<Record<Fate, string>> = {
  invented: 'event: registry.update\nid: 999\ndata: {"version":999}\n\n',
  reset: 'event: registry.reset\ndata: {"head":1,"oldest":0}\n\n',
};

/** Follows to the end, committing and restarting on the way; what was seen, in order. */
async function followThrough(
  stage: Stage,
  {
    lie,
    commits,
    restarts,
  }: { lie: Lie; commits: readonly number[]; restarts: readonly boolean[] },
): Promise<number[]> {
  const trust = memoryTrust();
  const seen: number[] = [];
  const grow = async (count: number) =>
    stage.grow(Math.min(count, VERSIONS - (stage.registry.head()?.version ?? 0)));
  // Where nothing is left to catch up with, the next version comes once somebody listens for it.
  let isOwed = false;
  let owed = Promise.resolve();
  const pay = () => {
    isOwed = false;
    owed = new Promise(setImmediate).then(() => grow(1));
  };
  stage.lie((path, honest, request) => {
    if (isOwed && /\/stream|wait=/.test(path)) pay();
    return lie(path, honest, request);
  });
  await grow(1);
  while (seen.length < VERSIONS) {
    const { client, clock } = openClient(stage, { trust });
    for await (const { head } of client.follow()) {
      seen.push(head.version);
      assert.equal(client.trusted()?.version, head.version);
      const step = seen.length;
      await grow(commits[step % commits.length] ?? 1);
      isOwed = head.version === stage.registry.head()?.version;
      if (isOwed && stage.registry.feed.subscribers > 0) pay();
      if (step >= VERSIONS || restarts[step % restarts.length]) break;
    }
    assert.deepEqual(clock.pending, []);
  }
  await owed;
  return seen;
}

/** Runs in which each fate is sure to befall: drawn runs see few pieces of a stream each. */
const ONE_FATE: [Fate[], Fate[], number[], boolean[]][] = [
  ...REQUEST_FATES.map((fate): [Fate[], Fate[]] => [['honest', fate], ['honest']]),
  ...PIECE_FATES.map((fate): [Fate[], Fate[]] => [['honest'], ['honest', fate, 'honest']]),
].map(([requests, pieces]) => [requests, pieces, [0], [false]]);

test('random disconnects, repeats, inventions and restarts never yield a version twice or out of order', async () => {
  const happened = new Set<Fate>();
  const drawn = (fates: readonly Fate[]) =>
    fc.array(fc.constantFrom<Fate>('honest', ...fates), { minLength: 5, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(
      drawn(REQUEST_FATES),
      drawn(PIECE_FATES),
      fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 5 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
      async (requests, pieces, commits, restarts) => {
        const stage = await openStage();
        const trouble = chaos(['honest', ...requests, ...CALM], ['honest', ...pieces]);
        const seen = await followThrough(stage, { lie: trouble.lie, commits, restarts });
        assert.deepEqual(
          seen,
          Array.from({ length: VERSIONS }, (_, i) => i + 1),
        );
        for (const fate of trouble.happened) happened.add(fate);
        assert.equal(stage.registry.feed.subscribers, 0);
      },
    ),
    { numRuns: 40, examples: ONE_FATE },
  );
  assert.deepEqual([...happened].sort(), [...new Set([...REQUEST_FATES, ...PIECE_FATES])].sort());
});
