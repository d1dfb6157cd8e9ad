import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readHints, type StreamHint } from '../../../src/client/event-stream.ts';
import { encodeUtf8 } from '../../../src/core/bytes.ts';
import { DrivenClock } from '../../support/client-clock.ts';
import { endless } from '../../support/client-lies.ts';
import { errorOf } from '../../support/client-server.ts';

const IDLE_MS = 45_000;

interface Pipe {
  readonly hints: AsyncGenerator<StreamHint, void, void>;
  readonly clock: DrivenClock;
  readonly retries: number[];
  readonly left: AbortController;
  readonly write: (text: string) => void;
  readonly end: () => void;
  readonly fail: (error: Error) => void;
  readonly isLeft: () => boolean;
}

function openPipe(): Pipe {
  const clock = new DrivenClock();
  const retries: number[] = [];
  const left = new AbortController();
  const controllers: ReadableStreamDefaultController<Uint8Array>[] = [];
  let isLeft = false;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      controllers.push(controller);
    },
    cancel: () => {
      isLeft = true;
    },
  });
  const hints = readHints(body, {
    clock,
    idleMs: IDLE_MS,
    signal: left.signal,
    onRetry: (ms) => retries.push(ms),
  });
  return {
    hints,
    clock,
    retries,
    left,
    write: (text) => controllers[0]?.enqueue(encodeUtf8(text)),
    end: () => controllers[0]?.close(),
    fail: (error) => controllers[0]?.error(error),
    isLeft: () => isLeft,
  };
}

async function all(text: string, chunkSize = text.length): Promise<StreamHint[]> {
  const chunks = text.match(new RegExp(`[^]{1,${chunkSize || 1}}`, 'g')) ?? [];
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      for (const chunk of chunks) controller.enqueue(encodeUtf8(chunk));
      controller.close();
    },
  });
  const options = {
    clock: new DrivenClock(),
    idleMs: IDLE_MS,
    signal: new AbortController().signal,
    onRetry: () => {},
  };
  return collect(readHints(body, options));
}

async function collect(hints: AsyncIterable<StreamHint>): Promise<StreamHint[]> {
  const found: StreamHint[] = [];
  for await (const hint of hints) found.push(hint);
  return found;
}

const STREAM = [
  'retry: 1500\n\n',
  'event: registry.update\nid: 4\ndata: {"version":4,"checkpoint":null}\n\n',
  ': a comment\n\n',
  'event: registry.progress\ndata: {"version":5}\n\n',
  'event: registry.reset\ndata: {"head":null,"oldest":0}\n\n',
  'event: registry.closing\ndata: {"reason":"age"}\n\n',
].join('');

const HINTS: readonly StreamHint[] = [
  { type: 'head', version: 4, note: undefined },
  { type: 'head', version: 5, note: undefined },
  { type: 'reset' },
  { type: 'closing' },
];

test('events are hints in order, however the bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: STREAM.length }), async (chunkSize) => {
      assert.deepEqual(await all(STREAM, chunkSize), HINTS);
    }),
    { numRuns: 50 },
  );
});

test('an event of another name is ignored, and one without a version is a hint without one', async () => {
  assert.deepEqual(await all('event: later\ndata: {"version":9}\n\ndata: {"version":9}\n\n'), []);
  for (const data of ['nonsense', 'null', '{}', '{"version":"9"}', '{"version":1e300}'])
    assert.deepEqual(await all(`event: registry.update\ndata: ${data}\n\n`), [
      { type: 'head', version: undefined, note: undefined },
    ]);
});

test('the retry field is passed on', async () => {
  const pipe = openPipe();
  const next = pipe.hints.next();
  pipe.write('retry: 2500\n\nevent: registry.progress\ndata: {"version":0}\n\n');
  await next;
  assert.deepEqual(pipe.retries, [2_500]);
  await pipe.hints.return();
});

test('a stream without events for too long is dead, whatever bytes come', async () => {
  const pipe = openPipe();
  const next = errorOf(pipe.hints.next());
  await pipe.clock.running(IDLE_MS);
  pipe.clock.advance(IDLE_MS - 1);
  pipe.write(': a proxy that keeps the connection warm\n\n');
  await new Promise(setImmediate);
  assert.equal(pipe.isLeft(), false);
  pipe.clock.advance(1);
  const error = await next;
  assert.ok(
    error instanceof Error && 'code' in error && error.code === 'unavailable',
    String(error),
  );
  assert.ok(pipe.isLeft());
  assert.deepEqual(pipe.clock.pending, []);
});

test('an event of any name shows that the stream lives', async () => {
  const pipe = openPipe();
  const next = pipe.hints.next();
  pipe.clock.advance(IDLE_MS - 1);
  pipe.write('event: later\ndata: {}\n\n');
  await new Promise(setImmediate);
  pipe.clock.advance(IDLE_MS - 1);
  pipe.write('event: registry.progress\ndata: {"version":1}\n\n');
  assert.deepEqual(await next, {
    done: false,
    value: { type: 'head', version: 1, note: undefined },
  });
  await pipe.hints.return();
});

test('time that the consumer takes does not make the stream dead', async () => {
  const pipe = openPipe();
  const first = pipe.hints.next();
  pipe.write('event: registry.progress\ndata: {"version":0}\n\n');
  await first;
  pipe.clock.advance(10 * IDLE_MS);
  const second = pipe.hints.next();
  pipe.write('event: registry.progress\ndata: {"version":1}\n\n');
  assert.deepEqual(await second, {
    done: false,
    value: { type: 'head', version: 1, note: undefined },
  });
  await pipe.hints.return();
});

test('an event without end is refused, not collected', async () => {
  const body = endless(`data: ${'x'.repeat(1_000)}\n`);
  const options = {
    clock: new DrivenClock(),
    idleMs: IDLE_MS,
    signal: new AbortController().signal,
    onRetry: () => {},
  };
  await assert.rejects(collect(readHints(body, options)), { code: 'unexpected_answer' });
});

test('a broken connection is unavailable, and an end is an end', async () => {
  const broken = openPipe();
  const next = broken.hints.next();
  broken.fail(new TypeError('terminated'));
  await assert.rejects(next, { code: 'unavailable' });
  const ended = openPipe();
  const last = ended.hints.next();
  ended.end();
  assert.equal((await last).done, true);
});

test('an abort ends the wait with its reason and leaves the stream', async () => {
  const pipe = openPipe();
  const reason = new Error('enough');
  const next = errorOf(pipe.hints.next());
  await pipe.clock.running(IDLE_MS);
  pipe.left.abort(reason);
  assert.equal(await next, reason);
  assert.ok(pipe.isLeft());
  assert.deepEqual(pipe.clock.pending, []);
});
