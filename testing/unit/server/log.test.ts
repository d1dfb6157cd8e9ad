import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError } from '../../../src/core/error.ts';
import { createLog, type LevelledLog, type LogLevel } from '../../../src/server/log.ts';

function logTo(level: LogLevel = 'debug'): { log: LevelledLog; lines: string[] } {
  const lines: string[] = [];
  return { log: createLog({ level, destination: { write: (line) => lines.push(line) } }), lines };
}

function only(lines: readonly string[]): Record<string, unknown> {
  assert.equal(lines.length, 1);
  return JSON.parse(lines[0] ?? '') as Record<string, unknown>;
}

test('a record is one line with an iso time, the level by name, the message and the fields', () => {
  const { log, lines } = logTo();
  log.warn('store is slow', { ms: 12, ok: false, nothing: null, absent: undefined });
  const { time, ...rest } = only(lines);
  assert.match(String(time), /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
  assert.deepEqual(rest, { level: 'warn', msg: 'store is slow', ms: 12, ok: false, nothing: null });
});

test('an error is written as name, code and message, its causes likewise, and nothing else of it', () => {
  const { log, lines } = logTo();
  const cause = Object.assign(new Error('disk i/o error'), {
    code: 'SQLITE_IOERR',
    token: 'canary',
  });
  const details = { token: 'canary' };
  log.error('commit', { error: new RegistryError('storage_failed', 'append', { cause, details }) });
  assert.deepEqual(only(lines).error, {
    name: 'RegistryError',
    code: 'storage_failed',
    message: 'append',
    cause: { name: 'Error', code: 'SQLITE_IOERR', message: 'disk i/o error' },
  });
  assert.ok(!lines.join().includes('canary'));
});

test('of a failure and a clean-up that failed after it both are written', () => {
  const { log, lines } = logTo();
  const first = new RegistryError('read_only', 'no space', { cause: new Error('below') });
  log.error('put', { cause: new SuppressedError(new Error('cannot be removed'), first) });
  const { message, ...cause } = only(lines).cause as Record<string, unknown>;
  assert.equal(typeof message, 'string');
  assert.deepEqual(cause, {
    name: 'SuppressedError',
    suppressed: {
      name: 'RegistryError',
      code: 'read_only',
      message: 'no space',
      cause: { name: 'Error', message: 'below' },
    },
    error: { name: 'Error', message: 'cannot be removed' },
  });
});

test('an object or an array is named by its type and never serialised', () => {
  const { log, lines } = logTo();
  const secret = { token: 'canary', deep: { key: 'canary' }, toJSON: () => 'canary' };
  log.info('request', {
    headers: secret,
    list: ['canary'],
    call: () => 'canary',
    id: Symbol('canary'),
  });
  const { headers, list, call, id } = only(lines);
  assert.deepEqual([headers, list, call, id], ['[object]', '[array]', '[function]', '[symbol]']);
  assert.ok(!lines.join().includes('canary'));
});

test('an error that causes itself ends', () => {
  const { log, lines } = logTo();
  const error = new Error('loop');
  error.cause = error;
  log.error('looped', { error });
  assert.ok((lines[0] ?? '').length < 1000);
});

test('text from outside can not forge a record or a member', () => {
  const { log, lines } = logTo();
  log.info('a\n{"level":"error"}', {
    text: '\u001b[31m\r\n',
    level: 'error',
    time: 'never',
    msg: 'other',
  });
  const record = only(lines);
  assert.deepEqual([record.level, record.msg], ['info', 'a\n{"level":"error"}']);
  assert.equal(lines[0]?.trimEnd().includes('\n'), false);
  assert.equal((lines[0]?.match(/"level":/g) ?? []).length, 1);
});

test('lines below the level are not written', () => {
  const { log, lines } = logTo('warn');
  log.debug('no');
  log.info('no');
  log.warn('yes');
  log.error('yes');
  assert.equal(lines.length, 2);
});

test('a new level counts from the next line on', () => {
  const { log, lines } = logTo('warn');
  log.info('no');
  log.setLevel('debug');
  log.debug('yes');
  log.setLevel('silent');
  log.error('no');
  assert.equal(only(lines).msg, 'yes');
});

// Of the kind that the Big List of Naughty Strings collects.
const NAUGHTY = [
  'next\u0085line, line\u2028separator, paragraph\u2029separator, \v and \f and \r\n',
  '\u001b[2J\u009b31m\u0007\u007f\b',
  '\u202etxt.exe\u202c \u2066hidden\u2069 zero\u200bwidth \ufeff',
  '\ud800 alone, \udc00 alone, together \ud83d\ude00',
  '"},{"level":"error","msg":"forged"}\n{"level":"error"}',
  '\\u0041 \\ \\" \\\u00e9',
  'null\0byte',
  '%s %d %o %j',
  '\u0418\u043c\u044f \u540d\u524d',
];

test('whatever is in a message, a field, its name or an error, a record is one line of ASCII that says it', () => {
  for (const text of NAUGHTY) {
    const { log, lines } = logTo();
    const cause = new Error(text);
    log.info(text, { text, [`name ${text}`]: 1, error: new Error(text, { cause }) });
    const [line = ''] = lines;
    assert.match(line, /^[\x20-\x7e]+\n$/);
    const { msg, text: field, [`name ${text}`]: named, error } = only(lines);
    assert.deepEqual([msg, field, named], [text, text, 1]);
    assert.deepEqual(error, {
      name: 'Error',
      message: text,
      cause: { name: 'Error', message: text },
    });
  }
});

test('a text has an end, in a field and in an error', () => {
  const { log, lines } = logTo();
  const text = 'x'.repeat(10_000_000);
  log.info('long', { text, error: new Error(text, { cause: new Error(text) }) });
  assert.ok((lines[0] ?? '').length < 250_000);
  assert.match(String(only(lines).text), /x\.\.\. \(10000000 characters\)$/);
});

test('a parser is not believed about what it quotes', () => {
  const { log, lines } = logTo();
  for (const parse of [() => JSON.parse('{"token":canary}'), () => new RegExp(`${'canary'}(`)])
    try {
      parse();
    } catch (error) {
      assert.ok(error instanceof Error && error.message.includes('canary'));
      log.error('failed', { error, wrapped: new Error('outer', { cause: error }) });
    }
  assert.equal(lines.length, 2);
  assert.ok(!lines.join().includes('canary'));
});

test('a line that cannot be written stops nothing, and the next one that can tells how many were lost', () => {
  const lines: string[] = [];
  let isFull = false;
  const write = (line: string) => {
    if (isFull) throw Object.assign(new Error('write'), { code: 'ENOSPC' });
    lines.push(line);
  };
  const log = createLog({ level: 'info', destination: { write } });
  log.info('before');
  isFull = true;
  log.info('lost');
  log.error('lost too');
  isFull = false;
  log.info('after');
  log.info('later');
  const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    told.map(({ msg, count }) => [msg, count]),
    [
      ['before', undefined],
      ['after', undefined],
      ['lines of this log could not be written and are lost', 2],
      ['later', undefined],
    ],
  );
});
