/** Answers that the package reads whole, lists and refusals, kept from filling the memory. */
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { S3Client } from './package.ts';

/** Twice what a thousand of the longest names take. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** What an object's bytes come with: they are handed on as a stream. */
const STREAMED = 'GetObjectCommand';

/** The whole of an answer is at most 16 MiB from now on; one that is longer ends with an error. */
export function boundAnswers(client: S3Client): void {
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const answered = await next(args);
        const { response } = answered;
        if (!isAnswer(response)) return answered;
        const isObject = commandName === STREAMED && response.statusCode < 300;
        if (!isObject) response.body = bounded(response.body);
        return answered;
      },
    // Before the package looks at the body.
    { step: 'deserialize', priority: 'low', name: 'boundAnswers' },
  );
}

function bounded(body: Readable): Readable {
  let bytes = 0;
  const count = new Transform({
    transform(chunk: Uint8Array, _, pass) {
      bytes += chunk.length;
      pass(bytes > MAX_ANSWER_BYTES ? new AnswerTooLarge() : null, chunk);
    },
  });
  // Who reads `count` is told what went wrong.
  pipeline(body, count).catch(() => undefined);
  return count;
}

class AnswerTooLarge extends Error {
  override readonly name = 'AnswerTooLarge';
}

interface Answer {
  readonly statusCode: number;
  body: Readable;
}

function isAnswer(value: unknown): value is Answer {
  return (
    typeof value === 'object' &&
    value !== null &&
    'statusCode' in value &&
    typeof value.statusCode === 'number' &&
    'body' in value &&
    typeof value.body === 'object' &&
    value.body !== null &&
    'pipe' in value.body
  );
}
