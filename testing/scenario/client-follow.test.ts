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

/** What befalls one request, or one piece of a stream. */
type Fate = 'honest' | 'broken' | 'refused' | 'cut' | 'twice' | 'invented' | 'reset';

const FATES: readonly Fate[] = [
  'honest',
  'honest',
  'honest',
  'broken',
  'refused',
  'cut',
  'twice',
  'invented',
  'reset',
];

interface Chaos {
  readonly lie: Lie;
  readonly happened: Set<Fate>;
}

/** `fates` come in turn, again and again; a run of nothing but trouble would never end. */
function chaos(fates: readonly Fate[]): Chaos {
  const happened = new Set<Fate>();
  let turn = 0;
  const next = (): Fate => fates[turn++ % fates.length] ?? 'honest';
  const lie: Lie = async (path, honest) => {
    const fate = next();
    if (fate === 'broken' || fate === 'refused') happened.add(fate);
    if (fate === 'broken') throw new TypeError('fetch failed');
    if (fate === 'refused') return new Response('busy', { status: 503 });
    const response = await honest();
    if (!path.startsWith('/registry/stream') || response.body === null) return response;
    const body = troubled(response.body, () => {
      const befalls = next();
      if (befalls !== 'broken' && befalls !== 'refused') happened.add(befalls);
      return befalls;
    });
    return new Response(body, { headers: response.headers });
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

test('random disconnects, repeats, inventions and restarts never yield a version twice or out of order', async () => {
  const happened = new Set<Fate>();
  const fates = fc
    .array(fc.constantFrom(...FATES), { minLength: 5, maxLength: 40 })
    .filter((drawn) => drawn.filter((fate) => fate === 'honest').length > drawn.length / 3);
  await fc.assert(
    fc.asyncProperty(
      fates,
      fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 5 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
      async (drawn, commits, restarts) => {
        const stage = await openStage();
        const trouble = chaos(['honest', ...drawn, ...CALM]);
        const seen = await followThrough(stage, { lie: trouble.lie, commits, restarts });
        assert.deepEqual(
          seen,
          Array.from({ length: VERSIONS }, (_, i) => i + 1),
        );
        for (const fate of trouble.happened) happened.add(fate);
        assert.equal(stage.registry.feed.subscribers, 0);
      },
    ),
    { numRuns: 40 },
  );
  assert.deepEqual([...happened].sort(), [...new Set(FATES)].sort());
});
