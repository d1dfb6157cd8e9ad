/** Snapshots written to a directory: whole or not at all, and nothing of others is touched. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createDirectoryPlace } from '../../../src/server/snapshot/directory-place.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';

const NAME = '1-0123456789abcdef.qsnap';
const DAY_SECONDS = 86_400;

async function* chunksOf(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

test('what a write left that was killed is removed after a day, and nothing that is not ours', async () => {
  const directory = makeDirectory();
  const [forgotten, young] = ['.unfinished-0123456789ab', '.unfinished-ba9876543210'];
  const others = ['.unfinished-letter.txt', '.unfinished-0123456789ab.orig'];
  for (const name of [forgotten, young, ...others]) writeFileSync(join(directory, name), 'x');
  mkdirSync(join(directory, '.unfinished-work'));
  const then = Date.now() / 1000 - 2 * DAY_SECONDS;
  for (const name of [forgotten, ...others, '.unfinished-work'])
    utimesSync(join(directory, name), then, then);
  assert.equal(await createDirectoryPlace(directory).write(NAME, chunksOf('ab', 'c')), 3);
  assert.deepEqual(
    readdirSync(directory).sort(),
    [...others, '.unfinished-work', young, NAME].sort(),
  );
});

test('a write that fails, or is refused by its check, leaves what stood there', async () => {
  const directory = makeDirectory();
  const place = createDirectoryPlace(directory);
  await place.write(NAME, chunksOf('before'));
  const broken = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from('half');
    throw new Error('broken');
  };
  await assert.rejects(place.write(NAME, broken()), /broken/);
  const seen: string[] = [];
  const check = async (written: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const chunk of written) seen.push(Buffer.from(chunk).toString());
    throw new Error('refused');
  };
  await assert.rejects(place.write(NAME, chunksOf('after'), check), /refused/);
  assert.deepEqual(seen, ['after']);
  assert.deepEqual(readdirSync(directory), [NAME]);
  assert.equal(readFileSync(join(directory, NAME), 'utf8'), 'before');
});
