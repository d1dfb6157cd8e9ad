/** The whole registry against a model of a hundred lines: the same random acts, the same answers, the same set. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeUtf8 } from '../../src/core/bytes.ts';
import { RegistryError } from '../../src/core/error.ts';
import type { Change, DecodedPayload } from '../../src/core/payload.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { checkLog } from '../support/check-log.ts';
import { Model, type ModelChange, type ModelGovernance } from '../support/model.ts';
import { openTestRegistry, put, remove, type TestRegistry } from '../support/registry.ts';
import {
  descriptorsPayload,
  governancePayload,
  makeGovernance,
  makeSigners,
  START,
} from '../support/signers.ts';

const SIGNERS = makeSigners(6);
const FIRST: ModelGovernance = { signers: [0, 1, 2], threshold: 2 };
const HOUR = 3_600_000;

const IDS = ['a', 'b', 'c'];
const value = fc.integer({ min: 0, max: 2 });
const change = fc.record({
  id: fc.constantFrom(...IDS),
  value: fc.option(value),
  // Mostly the truth, sometimes a guess: both sides of every fence are visited.
  guess: fc.option(fc.option(value), { freq: 3, nil: undefined }),
});
const act = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constant('propose' as const),
      changes: fc.uniqueArray(change, { minLength: 1, maxLength: 3, selector: (c) => c.id }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      act: fc.constant('rotate' as const),
      signers: fc.uniqueArray(fc.nat(5), { minLength: 1, maxLength: 4 }),
      threshold: fc.nat(3),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      act: fc.constant('approve' as const),
      proposal: fc.nat(),
      signer: fc.nat(5),
    }),
  },
  { weight: 4, arbitrary: fc.record({ act: fc.constant('commit' as const), proposal: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('wait' as const), hours: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('restart' as const) }) },
);
type Act = typeof act extends fc.Arbitrary<infer T> ? T : never;

test('the registry answers every sequence of acts as the model does', async () => {
  const seed = Number(process.env.QUORATE_TEST_SEED ?? Date.now() % 2 ** 31);
  const numRuns = process.env.QUORATE_TEST_LONG === '1' ? 2_000 : 60;
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 10, maxLength: 60 }), async (acts) => {
      const run = await Run.begin();
      for (const next of acts) await run.step(next);
      await run.check();
    }),
    { seed, numRuns },
  );
});

class Run {
  readonly #model = new Model(FIRST);
  readonly #proposals: DecodedPayload[] = [];
  readonly #store = createMemoryStore();
  #real: TestRegistry;
  #elapsed = 0;

  private constructor(real: TestRegistry, store: ReturnType<typeof createMemoryStore>) {
    this.#real = real;
    this.#store = store;
  }

  static async begin(): Promise<Run> {
    const store = createMemoryStore();
    return new Run(await openTestRegistry({ store }), store);
  }

  async step(next: Act): Promise<void> {
    switch (next.act) {
      case 'propose':
        return this.#propose(
          next.changes.map(({ id, value, guess }) => this.#change(id, value, guess)),
        );
      case 'rotate':
        return this.#rotate({
          signers: next.signers,
          threshold: 1 + (next.threshold % next.signers.length),
        });
      case 'approve':
        return this.#approve(next.proposal, next.signer);
      case 'commit':
        return this.#commit(next.proposal);
      case 'wait':
        this.#elapsed += next.hours * HOUR;
        this.#model.now = this.#elapsed;
        this.#real.timers.advance(next.hours * HOUR);
        return;
      case 'restart':
        return this.#restart();
    }
  }

  async check(): Promise<void> {
    const { registry } = this.#real;
    assert.equal(registry.head()?.version, this.#model.version);
    const answer = await registry.reader.set(this.#model.version);
    const items: [string, number][] = [];
    for await (const page of answer?.pages ?? [])
      for (const bytes of page) {
        const { id, spec } = JSON.parse(decodeUtf8(bytes));
        items.push([id, spec.value]);
      }
    assert.deepEqual(items, [...this.#model.set].sort());
    await checkLog(this.#store);
  }

  async #propose(changes: readonly ModelChange[]): Promise<void> {
    const sorted = [...changes].map(toChange);
    const { registryHash, timers } = this.#real;
    const proposal = descriptorsPayload(registryHash, sorted, {
      note: `${this.#proposals.length}`,
      createdAt: timers.now(),
      lifetimeMs: 4 * HOUR,
    });
    this.#proposals.push(proposal);
    const verdict = this.#model.propose({ expiresAt: this.#elapsed + 4 * HOUR, changes });
    assert.equal(await outcome(this.#real.registry.proposals.propose(proposal.bytes)), verdict);
  }

  async #rotate(governance: ModelGovernance): Promise<void> {
    const { registryHash, timers } = this.#real;
    const version = this.#model.governanceVersion;
    const build = ({ signers, threshold }: ModelGovernance, v: number) =>
      makeGovernance(
        signers.flatMap((i) => SIGNERS[i] ?? []),
        { threshold, version: v },
      );
    const proposal = governancePayload(
      registryHash,
      { next: build(governance, version + 1), current: build(this.#model.governance, version) },
      { note: `${this.#proposals.length}`, createdAt: timers.now(), lifetimeMs: 4 * HOUR },
    );
    this.#proposals.push(proposal);
    const verdict = this.#model.propose({
      expiresAt: this.#elapsed + 4 * HOUR,
      changes: [],
      governance,
      replaces: version,
    });
    assert.equal(await outcome(this.#real.registry.proposals.propose(proposal.bytes)), verdict);
  }

  async #approve(pick: number, signer: number): Promise<void> {
    const index = this.#pick(pick);
    const proposal = this.#proposals[index];
    const key = SIGNERS[signer];
    if (proposal === undefined || key === undefined) return;
    const verdict = this.#model.approve(index, signer);
    assert.equal(
      await outcome(
        this.#real.registry.proposals.approve(proposal.payloadB3, key.approve(proposal)),
      ),
      verdict,
    );
  }

  async #commit(pick: number): Promise<void> {
    const index = this.#pick(pick);
    const proposal = this.#proposals[index];
    if (proposal === undefined) return;
    const verdict = this.#model.commit(index);
    const commit = this.#real.registry.proposals.commit(proposal.payloadB3);
    assert.equal(
      await outcome(commit.then(({ isNew, head }) => ({ isNew: isNew, version: head.version }))),
      verdict,
    );
    if (verdict === 'ok' || verdict === 'known')
      assert.equal((await commit).head.version, this.#model.proposals[index]?.version);
  }

  /** Another process over the same store: nothing acknowledged is forgotten. */
  async #restart(): Promise<void> {
    this.#real.registry.drain();
    const real = await openTestRegistry({ store: this.#store });
    real.timers.advance(START + this.#elapsed - real.timers.now());
    this.#real = real;
    await settled(real);
  }

  #pick(pick: number): number {
    return this.#proposals.length === 0 ? -1 : pick % this.#proposals.length;
  }

  #change(id: string, next: number | null, guess: number | null | undefined): ModelChange {
    const truth = this.#model.set.get(id) ?? null;
    const replaces = guess === undefined ? truth : guess;
    // A removal must name what it removes.
    return next === null && replaces === null
      ? { id, value: 0, replaces }
      : { id, value: next, replaces };
  }
}

function toChange({ id, value: next, replaces }: ModelChange): Change {
  const before = replaces === null ? undefined : { value: replaces };
  if (next === null) return remove(id, before ?? {});
  return put(id, { value: next }, before);
}

async function settled({ registry }: TestRegistry): Promise<void> {
  while (!registry.readiness().writeReady) await new Promise((resolve) => setImmediate(resolve));
}

async function outcome(answer: Promise<object>): Promise<string> {
  try {
    const answered = await answer;
    return 'isNew' in answered && answered.isNew === false ? 'known' : 'ok';
  } catch (error) {
    if (error instanceof RegistryError) return error.code;
    throw error;
  }
}
