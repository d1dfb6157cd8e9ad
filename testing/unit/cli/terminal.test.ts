import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { createProgress } from '../../../src/cli/progress.ts';
import { createTerminal } from '../../../src/cli/terminal.ts';

/** Somebody who types `answer` when the question is on the screen. */
function openTerminal(answer: string) {
  const input = new PassThrough();
  const output = new PassThrough({ encoding: 'utf8' });
  let screen = '';
  let interrupts = 0;
  output.on('data', (text: string) => {
    screen += text;
    if (screen.includes('? ') && answer !== '') {
      input.write(answer);
      answer = '';
    }
  });
  const terminal = createTerminal({ input, output, onInterrupt: () => interrupts++ });
  return { terminal, input, screen: () => screen, interrupts: () => interrupts };
}

test('an answer is shown while it is typed, a secret is not', async () => {
  const open = openTerminal('yes\r');
  assert.equal(await open.terminal.ask('sign this payload? '), 'yes');
  assert.match(open.screen(), /sign this payload\? .*y/);
  const secret = openTerminal('correct horse\r');
  assert.equal(await secret.terminal.askSecret('passphrase? '), 'correct horse');
  assert.equal(secret.screen(), 'passphrase? \n');
});

test('an interrupt while an answer is typed is heard, and an end of the input is no answer', async () => {
  const open = openTerminal('secr\u0003');
  const asked = open.terminal.askSecret('passphrase? ');
  while (open.interrupts() === 0) await new Promise(setImmediate);
  open.input.end();
  assert.equal(await asked, '');
  assert.equal(open.interrupts(), 1);
});

test('a bar is drawn at most ten times a second, and wiped at the end', async () => {
  let now = 1_000;
  const drawn: string[] = [];
  const output = {
    write: async (text: string) => {
      drawn.push(text);
    },
    isTerminal: true,
    columns: 80,
  };
  const bar = createProgress({ output, label: 'entries', now: () => now, isShown: true });
  for (let done = 0; done <= 300; done++, now += 1) bar.show(done, 300);
  await bar.end();
  assert.deepEqual(drawn, [
    `\r[${' '.repeat(30)}] entries 0/300\u001b[K`,
    `\r[${'#'.repeat(10)}${' '.repeat(20)}] entries 100/300\u001b[K`,
    `\r[${'#'.repeat(20)}${' '.repeat(10)}] entries 200/300\u001b[K`,
    `\r[${'#'.repeat(30)}] entries 300/300\u001b[K`,
    '\r\u001b[K',
  ]);
  await bar.end();
  assert.equal(drawn.length, 5);
  bar.show(0, 0);
  await bar.end();
  assert.match(drawn[5] ?? '', /\[#{30}\] entries 0\/0/);
});

test('without a terminal what takes longer says so in a line every five seconds, and leaves no bar', async () => {
  let now = 1_000;
  const drawn: string[] = [];
  const output = {
    write: async (text: string) => {
      drawn.push(text);
    },
    isTerminal: false,
    columns: 80,
  };
  const progress = createProgress({ output, label: 'entries', now: () => now, isShown: true });
  for (let done = 0; done <= 120; done++, now += 100) progress.show(done, 120);
  await progress.end();
  assert.deepEqual(drawn, ['entries 50/120, 10/s\n', 'entries 100/120, 10/s\n']);
  // What comes next is timed for itself.
  for (let done = 0; done < 50; done++, now += 100) progress.show(done, 50);
  await progress.end();
  assert.equal(drawn.length, 2);
});

test('a bar that is not shown writes nothing', async () => {
  const output = { write: () => assert.fail('written'), isTerminal: false, columns: 80 };
  const bar = createProgress({ output, label: 'entries', now: Date.now, isShown: false });
  bar.show(1, 2);
  await bar.end();
});
