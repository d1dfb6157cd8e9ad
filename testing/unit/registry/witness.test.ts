/** What the log makes of each answer of a witness: when it asks again, what it takes, what stops it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddCheckpoint } from '../../../src/core/tlog/add-checkpoint.ts';
import { isConsistent } from '../../../src/core/tlog/merkle.ts';
import { encodeSignature, type NoteSignature } from '../../../src/core/tlog/note.ts';
import { readSignedCheckpoint } from '../../../src/core/tlog/note-signatures.ts';
import { parsePolicy } from '../../../src/core/tlog/policy.ts';
import type { Cosigner, CosignerPort } from '../../../src/registry/cosigners.ts';
import type { PostAnswer } from '../../../src/registry/witness.ts';
import { cosign } from '../../../src/registry/witness-cosign.ts';
import { openWitnesses } from '../../../src/registry/witnesses.ts';
import { createNoteVerifier } from '../../../src/server/note-verifier.ts';
import type { LogFields } from '../../../src/telemetry/log.ts';
import { refuses } from '../../support/core-assert.ts';
import { SILENT_LOG } from '../../support/registry.ts';
import { START } from '../../support/signers.ts';
import { TestTimers } from '../../support/timers.ts';
import { makeCosigner, TestLog } from '../../support/witness.ts';

interface Asked {
  readonly url: string;
  readonly body: string;
  readonly signal: AbortSignal;
  /** Answers it; resolves when that was acted on. */
  answer(answer: Partial<PostAnswer> | Error): Promise<void>;
}

const KEYS = ['w1', 'w2', 'w3'].map(makeCosigner);
const LINES = KEYS.map(
  ({ vkey, key }) => `witness ${key.name} ${vkey} https://${key.name}.example/p`,
);
const TWO_OF_THREE = `${LINES.join('\n')}\ngroup g 2 w1 w2 w3\nquorum g\n`;
const ONE = `${LINES[0]}\nquorum w1\n`;
const SIZE = { status: 409, contentType: 'text/x.tlog.size' };

function open(
  policy: string,
  { random = 1, prove }: { random?: number; prove?: CosignerPort['prove'] } = {},
) {
  const log = new TestLog();
  const timers = new TestTimers(START);
  const asked: Asked[] = [];
  const taken: { size: number; signature: NoteSignature }[] = [];
  const results: string[] = [];
  const alarms: string[] = [];
  const errors: { message: string; fields: LogFields }[] = [];
  const waiting = new Set<() => void>();
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds())
      await new Promise<void>((resolve) => {
        waiting.add(resolve);
      });
  };
  const openCosigner = openWitnesses(parsePolicy(policy), {
    post: (url, body, { signal }) => {
      const { promise, resolve, reject } = Promise.withResolvers<PostAnswer>();
      signal.addEventListener('abort', () => reject(signal.reason));
      const answer = async (given: Partial<PostAnswer> | Error) => {
        const before = results.length;
        if (given instanceof Error) reject(given);
        else resolve({ status: 200, contentType: null, retryAfter: null, body: '', ...given });
        await until(() => results.length > before);
        await settled();
      };
      asked.push({ url, body, signal, answer });
      for (const look of waiting) look();
      return promise;
    },
    verifier: createNoteVerifier(),
    metrics: {
      witnessRequested: ({ witness, result }) => {
        results.push(`${witness} ${result}`);
        for (const look of waiting) look();
      },
      witnessSize: () => {},
      cosigned: () => {},
      witnessAlarm: (reason) => alarms.push(reason),
    },
    log: { ...SILENT_LOG, error: (message, fields = {}) => errors.push({ message, fields }) },
    now: () => timers.now(),
    random: () => random,
    timers,
    recosignMs: 300_000,
    timeoutMs: 10_000,
  });
  const cosigner: Cosigner = openCosigner({
    onCosigned: (size, [signature]) => {
      if (signature !== undefined) taken.push({ size, signature });
    },
    prove: prove ?? ((sizes) => log.prove(sizes)),
    refusal: () => undefined,
  });
  /** The `count`th request of all. */
  const request = async (count: number): Promise<Asked> => {
    await until(() => asked.length >= count);
    return asked[count - 1] as Asked;
  };
  return {
    log,
    timers,
    cosigner,
    asked,
    taken,
    results,
    alarms,
    errors,
    request,
    submit: async () => cosigner.submit(await log.published()),
    /** The right answer of a witness to what it was asked. */
    cosigned: async ({ body }: Asked, name = 'w1', time = timers.now() / 1000) => {
      const checkpoint = readSignedCheckpoint(parseAddCheckpoint(body).note);
      return { body: encodeSignature(await cosign(checkpoint, makeCosigner(name), time)) };
    },
  };
}

/** Time for what would be too much: a request that must not come, or the turn after an answer. */
async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

const oldOf = ({ body }: Asked) => parseAddCheckpoint(body).old;
const sizeOf = ({ body }: Asked) => readSignedCheckpoint(parseAddCheckpoint(body).note).size;

test('the first request begins at nothing, the next one proves from what was cosigned', async () => {
  const { log, submit, request, cosigned, taken, cosigner } = open(ONE);
  log.grow(5);
  await submit();
  const first = await request(1);
  assert.equal(first.url, 'https://w1.example/p/add-checkpoint');
  assert.deepEqual(parseAddCheckpoint(first.body), {
    old: 0,
    proof: [],
    note: await log.note(),
  });
  await first.answer(await cosigned(first));
  assert.deepEqual(
    taken.map(({ size, signature }) => [size, signature.name]),
    [[5, 'w1']],
  );
  log.grow(4);
  await submit();
  const { old, proof, note } = parseAddCheckpoint((await request(2)).body);
  const { root } = readSignedCheckpoint(note);
  const { root: fromRoot } = await log.checkpoint(5);
  assert.equal(old, 5);
  assert.ok(isConsistent({ from: 5, size: 9, proof, fromRoot, root }));
  await cosigner[Symbol.asyncDispose]();
});

test('only the log’s own signatures are sent', async () => {
  const { log, request, cosigner } = open(ONE);
  const published = await log.grow(1).published();
  const line = encodeSignature(await cosign(await log.checkpoint(), makeCosigner('w2'), 7));
  cosigner.submit({ ...published, note: `${published.note}${line}` });
  assert.equal(parseAddCheckpoint((await request(1)).body).note, published.note);
  await cosigner[Symbol.asyncDispose]();
});

test('while one request is under way the log may grow: the newest checkpoint is next, and no other', async () => {
  const { log, submit, request, cosigned, asked, taken, cosigner } = open(ONE);
  for (let i = 0; i < 4; i++) {
    log.grow(1);
    await submit();
  }
  const first = await request(1);
  await settled();
  assert.equal(asked.length, 1);
  await first.answer(await cosigned(first));
  const second = await request(2);
  assert.deepEqual([oldOf(second), sizeOf(second)], [1, 4]);
  await second.answer(await cosigned(second));
  assert.equal(asked.length, 2);
  assert.deepEqual(
    taken.map(({ size }) => size),
    [1, 4],
  );
  await cosigner[Symbol.asyncDispose]();
});

test('a witness that is elsewhere is asked again at once from there, so often and no oftener', async () => {
  const { log, submit, request, asked, results, timers, cosigner } = open(ONE);
  log.grow(8);
  await submit();
  for (const [count, size] of [3, 5, 2].entries()) {
    await (await request(count + 1)).answer({ ...SIZE, body: `${size}\n` });
    assert.equal(oldOf(await request(count + 2)), size);
  }
  await (await request(4)).answer({ ...SIZE, body: '4\n' });
  assert.equal(asked.length, 4);
  assert.deepEqual(new Set(results), new Set(['w1 elsewhere']));
  timers.advance(1_000);
  assert.equal(oldOf(await request(5)), 4);
  await cosigner[Symbol.asyncDispose]();
});

test('a size beyond what was asked, but not beyond the log, is no alarm', async () => {
  const { log, submit, request, cosigned, alarms, taken, cosigner } = open(ONE);
  log.grow(5);
  await submit();
  const first = await request(1);
  log.grow(3);
  await submit();
  // Somebody else brought the witness the newer checkpoint.
  await first.answer({ ...SIZE, body: '8\n' });
  const second = await request(2);
  assert.deepEqual([oldOf(second), sizeOf(second)], [8, 8]);
  await second.answer(await cosigned(second));
  assert.deepEqual([alarms, taken.map(({ size }) => size)], [[], [8]]);
  await cosigner[Symbol.asyncDispose]();
});

for (const [name, answer, reason, theirs] of [
  ['a witness ahead of the log', { ...SIZE, body: '6\n' }, 'ahead', 6],
  ['another root at the same size', { status: 409, body: 'root mismatch' }, 'fork', 5],
] as const)
  test(`${name} stops writes for good, with both sizes, and keeps what was answered`, async () => {
    const { log, submit, request, cosigner, alarms, errors, timers, asked } = open(TWO_OF_THREE);
    log.grow(5);
    await submit();
    await (await request(1)).answer(answer);
    assert.deepEqual(alarms, [reason]);
    const refusal = cosigner.refusal();
    assert.equal(refusal?.code, 'not_ready');
    assert.deepEqual(refusal?.details, { witness: 'w1', reason, theirs, ours: 5 });
    assert.match(refusal?.message ?? '', /w1.*reads go on.*backup.*quorate epoch/);
    const evidence = errors.at(-1)?.fields;
    assert.deepEqual([evidence?.checkpoint, evidence?.answer], [await log.note(), answer.body]);
    timers.advance(24 * 3_600_000);
    log.grow(5);
    await submit();
    await settled();
    assert.equal(cosigner.refusal(), refusal);
    assert.equal(asked.filter(({ url }) => url.includes('w1')).length, 1);
    await cosigner[Symbol.asyncDispose]();
  });

test('a refused proof from what the witness named is a fork, and stops writes', async () => {
  const { log, submit, request, cosigner, alarms } = open(ONE);
  log.grow(5);
  await submit();
  await (await request(1)).answer({ ...SIZE, body: '3\n' });
  await (await request(2)).answer({ status: 422 });
  assert.deepEqual(alarms, ['fork']);
  assert.match(
    cosigner.refusal()?.message ?? '',
    /at 3 entries has seen another history than the 5/,
  );
  await cosigner[Symbol.asyncDispose]();
});

test('failures are waited out twice as long each time, up to ten minutes, whatever the log does', async () => {
  const { log, submit, request, asked, timers, cosigner } = open(ONE);
  log.grow(1);
  await submit();
  const delays = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600].map((s) => s * 1000);
  for (const [i, delay] of delays.entries()) {
    await (await request(i + 1)).answer(i % 2 === 0 ? new Error('no answer') : { status: 503 });
    log.grow(1);
    await submit();
    timers.advance(delay - 1);
    await settled();
    assert.equal(asked.length, i + 1, `before ${delay} ms`);
    timers.advance(1);
    assert.equal(sizeOf(await request(i + 2)), log.size);
  }
  await cosigner[Symbol.asyncDispose]();
});

test('half of a delay is chance, and a success forgets the failures', async () => {
  const { log, submit, request, asked, timers, cosigned, cosigner } = open(ONE, { random: 0 });
  log.grow(1);
  await submit();
  for (const i of [1, 2, 3]) {
    await (await request(i)).answer({ status: 500 });
    timers.advance([1_000, 1_000, 2_000][i - 1] ?? 0);
  }
  const fourth = await request(4);
  await fourth.answer(await cosigned(fourth));
  log.grow(1);
  await submit();
  await (await request(5)).answer({ status: 500 });
  timers.advance(999);
  await settled();
  assert.equal(asked.length, 5);
  timers.advance(1);
  await request(6);
  await cosigner[Symbol.asyncDispose]();
});

test('what a person must mend is asked again after hours', async () => {
  for (const status of [400, 403, 404, 422]) {
    const { log, submit, request, asked, timers, cosigner, errors } = open(ONE);
    log.grow(1);
    await submit();
    await (await request(1)).answer({ status });
    assert.equal(errors.length, 1, `${status} is told`);
    timers.advance(2 * 3_600_000 - 1);
    await settled();
    assert.equal(asked.length, 1, `${status}`);
    timers.advance(1);
    await request(2);
    await cosigner[Symbol.asyncDispose]();
  }
});

test('a witness that says when to come back is left alone until then', async () => {
  for (const [retryAfter, seconds] of [
    ['90', 90],
    [new Date(START + 120_000).toUTCString(), 120],
    ['soon', 1],
    ['999999999', 24 * 3600],
  ] as const) {
    const { log, submit, request, asked, timers, cosigner } = open(ONE);
    log.grow(1);
    await submit();
    await (await request(1)).answer({ status: 429, retryAfter });
    timers.advance(seconds * 1000 - 1);
    await settled();
    assert.equal(asked.length, 1, retryAfter);
    timers.advance(1);
    await request(2);
    await cosigner[Symbol.asyncDispose]();
  }
});

test('a cosignature that gets old is asked for again, of the same size', async () => {
  const { log, submit, request, asked, timers, cosigned, taken, cosigner } = open(ONE);
  log.grow(3);
  await submit();
  for (const i of [1, 2, 3]) {
    const asking = await request(i);
    assert.deepEqual([oldOf(asking), sizeOf(asking)], [i === 1 ? 0 : 3, 3]);
    await asking.answer(await cosigned(asking));
    timers.advance(299_999);
    await settled();
    assert.equal(asked.length, i);
    timers.advance(1);
  }
  assert.equal(taken.length, 3);
  await cosigner[Symbol.asyncDispose]();
});

test('a log that has no proof to give asks nothing, and is no fork', async () => {
  const { log, submit, request, asked, alarms, results, timers, cosigner } = open(ONE, {
    prove: async () => [],
  });
  log.grow(5);
  await submit();
  await (await request(1)).answer({ ...SIZE, body: '3\n' });
  while (results.length < 2) await settled();
  timers.advance(1_000);
  while (results.length < 3) await settled();
  assert.deepEqual(
    [asked.length, alarms, results.slice(1)],
    [1, [], ['w1 unavailable', 'w1 unavailable']],
  );
  await cosigner[Symbol.asyncDispose]();
});

test('a log that grows puts off the next renewal', async () => {
  const { log, submit, request, asked, timers, cosigned, cosigner } = open(ONE);
  for (const i of [1, 2]) {
    log.grow(1);
    await submit();
    const asking = await request(i);
    await asking.answer(await cosigned(asking));
    timers.advance(200_000);
  }
  await settled();
  assert.equal(asked.length, 2);
  timers.advance(100_000);
  await request(3);
  await cosigner[Symbol.asyncDispose]();
});

test('a 200 with something else than a cosignature of now is a failure, and nothing is taken', async () => {
  const lies: readonly ((
    t: ReturnType<typeof open>,
    asked: Asked,
  ) => Promise<Partial<PostAnswer>>)[] = [
    async () => ({ body: '' }),
    async () => ({ body: '<html>\n' }),
    (t, asked) => t.cosigned(asked, 'w2'),
    (t, asked) => t.cosigned(asked, 'w1', 0),
    (t, asked) => t.cosigned(asked, 'w1', START / 1000 + 301),
    (t, asked) => t.cosigned(asked, 'w1', START / 1000 - 301),
    async (t) => {
      const other = new TestLog({ origin: 'other.example/log' }).grow(3);
      return t.cosigned({ body: await other.request(0) } as Asked);
    },
    async (t) => t.cosigned({ body: await t.log.request(0, 2) } as Asked),
  ];
  for (const [i, lie] of lies.entries()) {
    const t = open(ONE);
    t.log.grow(3);
    await t.submit();
    const first = await t.request(1);
    await first.answer(await lie(t, first));
    assert.deepEqual([t.taken, t.results], [[], ['w1 invalid_answer']], `lie ${i}`);
    assert.equal(t.cosigner.refusal()?.code, 'not_ready');
    t.timers.advance(1_000);
    const second = await t.request(2);
    assert.equal(oldOf(second), 0);
    await second.answer(await t.cosigned(second));
    assert.equal(t.cosigner.refusal(), undefined);
    await t.cosigner[Symbol.asyncDispose]();
  }
});

test('after a start nothing is written until the quorum has cosigned what the store holds', async () => {
  const { log, submit, request, cosigned, cosigner, taken } = open(TWO_OF_THREE);
  assert.equal(cosigner.refusal(), undefined, 'an empty log needs no word of anybody');
  log.grow(3);
  await submit();
  assert.deepEqual(cosigner.refusal()?.details, { missing: ['w1', 'w2', 'w3'] });
  const [first, second, third] = await Promise.all([request(1), request(2), request(3)]);
  await second.answer({ status: 500 });
  await first.answer(await cosigned(first, 'w1'));
  assert.equal(taken.length, 1, 'taken as it comes');
  assert.deepEqual(cosigner.refusal()?.details, { missing: ['w2', 'w3'] });
  assert.match(cosigner.refusal()?.message ?? '', /from w2, w3/);
  await third.answer(await cosigned(third, 'w3'));
  assert.equal(cosigner.refusal(), undefined);
  log.grow(1);
  await submit();
  assert.equal(cosigner.refusal(), undefined, 'once is enough');
  await cosigner[Symbol.asyncDispose]();
});

test('with no quorum each witness is asked once before a write, whatever it answers', async () => {
  const { log, submit, request, cosigned, cosigner } = open(`${LINES.join('\n')}\nquorum none\n`);
  log.grow(3);
  await submit();
  const [first, second, third] = await Promise.all([request(1), request(2), request(3)]);
  await first.answer(new Error('no answer'));
  await second.answer({ status: 404 });
  assert.deepEqual(cosigner.refusal()?.details, { missing: ['w3'] });
  await third.answer(await cosigned(third, 'w3'));
  assert.equal(cosigner.refusal(), undefined);
  await cosigner[Symbol.asyncDispose]();
});

test('a policy whose quorum has no urls is refused at the start', () => {
  const [line = ''] = (LINES[0] ?? '').split(' https');
  refuses('invalid_request', () => open(`${line}\nquorum w1\n`), /add the url/);
  open(`${line}\nquorum none\n`);
});

test('closing ends the request under way and asks no more', async () => {
  const { log, submit, request, asked, timers, cosigner } = open(ONE);
  log.grow(3);
  await submit();
  const first = await request(1);
  await cosigner[Symbol.asyncDispose]();
  assert.ok(first.signal.aborted);
  assert.equal(timers.pending, 0);
  await submit();
  timers.advance(24 * 3_600_000);
  await settled();
  assert.equal(asked.length, 1);
});
