/** The list of revoked tokens: read strictly, looked at again, kept when it cannot be read, and added to safely. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { attenuateToken, openToken } from '../../../src/server/tokens/make.ts';
import { LOOK_EVERY_MS } from '../../../src/server/tokens/revocation-file.ts';
import { parseRevocations } from '../../../src/server/tokens/revocations.ts';
import { addRevocations } from '../../../src/server/tokens/revoke.ts';
import { makeDirectory } from '../../support/cli-stage.ts';
import { makeTokenKey, mint, openTestAuthority, type TestAuthority } from '../../support/tokens.ts';

const KEY = makeTokenKey();
const [ID_A, ID_B] = ['aa'.repeat(64), 'bb'.repeat(64)];

test('a list is ids, one a line, and remarks; anything else is refused with its place', () => {
  const text = `# stolen laptop\n${ID_A}\n\n  ${ID_B}  # 2026-11-21\r\n${ID_A}\n`;
  assert.deepEqual([...parseRevocations(text, 'list')], [ID_A, ID_B]);
  assert.deepEqual([...parseRevocations('', 'list')], []);
  for (const [line, place] of [
    [ID_A.toUpperCase(), 'list:1'],
    [ID_A.slice(2), 'list:1'],
    [`${ID_A}a`, 'list:1'],
    [`${ID_A},${ID_B}`, 'list:1'],
    [`${ID_A}\n${ID_B} ${ID_A}`, 'list:2'],
    ['cc'.repeat(81), 'list:1'],
  ] as const)
    assert.throws(
      () => parseRevocations(line, 'list'),
      ({ code, message }) => {
        assert.equal(code, 'invalid_request');
        assert.ok(
          message.startsWith('expected a revocation id, 128 lower-case hex digits or more, at'),
        );
        assert.ok(message.includes(` ${place}, got `), message);
        return true;
      },
    );
});

async function idsOf(token: string): Promise<readonly string[]> {
  return (await openToken(token)).revocationIds;
}

test('a token is refused when any of its blocks is revoked, and its kin when the block is theirs too', async (t) => {
  const path = join(makeDirectory(), 'revoked');
  const token = await mint(KEY);
  const narrower = await attenuateToken(token, [{ operations: ['propose'] }]);
  const narrowest = await attenuateToken(narrower, [{ kinds: ['route', 'service'] }]);
  const sibling = await attenuateToken(token, [{ operations: ['propose'] }]);
  const all = [token, narrower, narrowest, sibling];
  const [first = '', second = '', third = ''] = await idsOf(narrowest);
  for (const [id, answers] of [
    [third, [true, true, false, true]],
    [second, [true, false, false, true]],
    [first, [false, false, false, false]],
  ] as const) {
    writeFileSync(path, `${id}\n`);
    const { ask } = await openTestAuthority(t, { keys: [KEY.key], revocations: path });
    const expected = answers.map((isAllowed) => (isAllowed ? 'allowed' : 'unauthenticated'));
    assert.deepEqual(await Promise.all(all.map((text) => ask(text))), expected);
  }
});

test('a list that is missing or damaged at the start is a mistake, told with its place', async (t) => {
  const path = join(makeDirectory(), 'revoked');
  const open = () => openTestAuthority(t, { keys: [KEY.key], revocations: path });
  await assert.rejects(open(), {
    code: 'invalid_request',
    message: `expected a readable file of revocation ids at ${path}, got ENOENT: an empty one revokes nothing`,
  });
  writeFileSync(path, 'half an i');
  await assert.rejects(open(), {
    code: 'invalid_request',
    message: /revoked:1, got 9 other characters$/,
  });
  writeFileSync(path, '');
  await open();
});

/** Lets the next look happen and end: it has ended when the one after it is due. */
async function look({ timers }: TestAuthority): Promise<void> {
  assert.equal(timers.pending, 1);
  timers.advance(LOOK_EVERY_MS);
  assert.equal(timers.pending, 0);
  while (timers.pending === 0) await new Promise((resolve) => setImmediate(resolve));
}

test('what is no file is refused, and neither waited for nor read without end', async (t) => {
  const pipe = join(makeDirectory(), 'revoked');
  execFileSync('mkfifo', [pipe]);
  for (const revocations of [pipe, '/dev/zero'])
    await assert.rejects(openTestAuthority(t, { keys: [KEY.key], revocations }), {
      code: 'invalid_request',
      message: `expected a regular file of revocation ids at ${revocations}, got another kind: an empty one revokes nothing`,
    });
});

test('a change of the list is in force within two seconds, without a reload', async (t) => {
  assert.equal(LOOK_EVERY_MS, 2_000);
  const path = join(makeDirectory(), 'revoked');
  writeFileSync(path, '');
  const opened = await openTestAuthority(t, { keys: [KEY.key], revocations: path });
  const token = await mint(KEY);
  assert.equal(await opened.ask(token), 'allowed');
  await addRevocations(path, await idsOf(token));
  await look(opened);
  assert.equal(await opened.ask(token), 'unauthenticated');
  await look(opened);
  assert.deepEqual(
    opened.records.map(({ level, message }) => [level, message]),
    [
      ['info', 'revoked tokens were read'],
      ['info', 'a revoked token was used'],
    ],
  );
});

test('a list that can no longer be read stays in force as it was, and is told once', async (t) => {
  const path = join(makeDirectory(), 'revoked');
  const [revoked, other] = [await mint(KEY), await mint(KEY)];
  writeFileSync(path, `${(await idsOf(revoked)).join('\n')}\n`);
  const opened = await openTestAuthority(t, { keys: [KEY.key], revocations: path });
  const errors = () => opened.records.filter(({ level }) => level === 'error').length;
  const asked = async () => [await opened.ask(revoked), await opened.ask(other)];
  for (const [damage, told] of [
    [() => rmSync(path), 1],
    [() => writeFileSync(path, 'half an i'), 2],
    [() => writeFileSync(path, Buffer.alloc(300, 0xff)), 3],
  ] as const) {
    damage();
    await look(opened);
    await look(opened);
    assert.equal(errors(), told);
    assert.deepEqual(await asked(), ['unauthenticated', 'allowed']);
  }
  writeFileSync(path, `${(await idsOf(other)).join('\n')}\n`);
  await look(opened);
  assert.deepEqual(await asked(), ['allowed', 'unauthenticated']);
  // Whoever came back to life is worth a warning.
  const warned = opened.records.filter(({ level }) => level === 'warn');
  assert.deepEqual(
    warned.map(({ message, fields }) => [message, fields.forgotten]),
    [['revoked tokens left the list', 1]],
  );
});

test('a reload takes another list up at once, and none when it names none', async (t) => {
  const directory = makeDirectory();
  const [first, second] = [join(directory, 'first'), join(directory, 'second')];
  const token = await mint(KEY);
  writeFileSync(first, '');
  writeFileSync(second, (await idsOf(token)).join('\n'));
  const opened = await openTestAuthority(t, { keys: [KEY.key], revocations: first });
  const reload = async (revocations: string | null) =>
    (await opened.prepareTokens({ keys: [KEY.key], revocations }))();
  assert.equal(await opened.ask(token), 'allowed');
  await reload(second);
  assert.equal(await opened.ask(token), 'unauthenticated');
  await look(opened);
  assert.equal(await opened.ask(token), 'unauthenticated');
  await reload(null);
  assert.equal(opened.timers.pending, 0);
  assert.equal(await opened.ask(token), 'allowed');
  const warned = opened.records.filter(({ level }) => level === 'warn');
  assert.deepEqual(
    warned.map(({ message, fields }) => [message, fields.path, fields.forgotten]),
    [['revoked tokens left the list', null, 1]],
  );
  await reload(second);
  opened.close();
  assert.equal(opened.timers.pending, 0);
  assert.equal(await opened.ask(token), 'unauthenticated');
});

test('a look that was under way when a reload named another list is forgotten', async (t) => {
  const directory = makeDirectory();
  const [first, second] = [join(directory, 'first'), join(directory, 'second')];
  const token = await mint(KEY);
  writeFileSync(first, '');
  writeFileSync(second, (await idsOf(token)).join('\n'));
  const opened = await openTestAuthority(t, { keys: [KEY.key], revocations: first });
  const apply = await opened.prepareTokens({ keys: [KEY.key], revocations: second });
  writeFileSync(first, '# changed\n');
  opened.timers.advance(LOOK_EVERY_MS);
  apply();
  // Each takes a turn at the disk, where the forgotten one takes five.
  for (let i = 0; i < 20; i++) await look(opened);
  assert.equal(opened.timers.pending, 1);
  assert.deepEqual(
    opened.records.map(({ fields }) => fields.path),
    [second],
  );
  assert.equal(await opened.ask(token), 'unauthenticated');
});

test('what a look has read while a reload was prepared stays in force', async (t) => {
  const path = join(makeDirectory(), 'revoked');
  const token = await mint(KEY);
  writeFileSync(path, '');
  const opened = await openTestAuthority(t, { keys: [KEY.key], revocations: path });
  const apply = await opened.prepareTokens({ keys: [KEY.key], revocations: path });
  writeFileSync(path, (await idsOf(token)).join('\n'));
  await look(opened);
  assert.equal(await opened.ask(token), 'unauthenticated');
  apply();
  assert.equal(await opened.ask(token), 'unauthenticated');
  writeFileSync(path, '');
  (await opened.prepareTokens({ keys: [KEY.key], revocations: path }))();
  assert.equal(await opened.ask(token), 'allowed');
  assert.equal(opened.timers.pending, 1);
});

test('ids are added to a list, each once, and what a person wrote in it stays', async () => {
  const path = join(makeDirectory(), 'revoked');
  assert.deepEqual(await addRevocations(path, [ID_A]), { added: 1, total: 1 });
  assert.equal(readFileSync(path, 'utf8'), `${ID_A}\n`);
  assert.equal(statSync(path).mode & 0o777, 0o644 & ~process.umask());
  // Without a line end, as an editor may leave it.
  writeFileSync(path, `# mine\n${ID_A} # laptop`);
  chmodSync(path, 0o640);
  assert.deepEqual(await addRevocations(path, [ID_A, ID_B, ID_B]), { added: 1, total: 2 });
  assert.equal(readFileSync(path, 'utf8'), `# mine\n${ID_A} # laptop\n${ID_B}\n`);
  assert.equal(statSync(path).mode & 0o777, 0o640);
  assert.equal(existsSync(`${path}.next`), false);
});

test('ids that are added through links land in the list that they lead to', async (t) => {
  const directory = makeDirectory();
  const [list, inner, link] = ['shared/list', 'inner', 'link'].map((name) => join(directory, name));
  assert.ok(list !== undefined && inner !== undefined && link !== undefined);
  mkdirSync(join(directory, 'shared'));
  writeFileSync(list, `${ID_A}\n`);
  symlinkSync('shared/list', inner);
  symlinkSync(inner, link);
  const token = await mint(KEY);
  const { ask } = await openTestAuthority(t, { keys: [KEY.key], revocations: list });
  assert.equal(await ask(token), 'allowed');
  const ids = await idsOf(token);
  assert.deepEqual(await addRevocations(link, ids), { added: 1, total: 2 });
  assert.equal(readFileSync(list, 'utf8'), `${[ID_A, ...ids].join('\n')}\n`);
  assert.ok(lstatSync(link).isSymbolicLink() && lstatSync(inner).isSymbolicLink());
  const again = await openTestAuthority(t, { keys: [KEY.key], revocations: list });
  assert.equal(await again.ask(token), 'unauthenticated');
  // Whoever goes the other way waits for the same file.
  writeFileSync(`${list}.next`, '');
  await assert.rejects(addRevocations(link, [ID_B]), { message: /EEXIST$/ });
});

test('a link that leads to no list is refused and stays', async () => {
  const directory = makeDirectory();
  const link = join(directory, 'link');
  symlinkSync('gone', link);
  await assert.rejects(addRevocations(link, [ID_A]), {
    code: 'invalid_request',
    message: `expected the link ${link} to lead to a list, an empty one if it is new, got ENOENT`,
  });
  assert.deepEqual(readdirSync(directory), ['link']);
});

test('a list that is damaged, or being written by somebody else, is left as it is', async () => {
  const path = join(makeDirectory(), 'revoked');
  writeFileSync(path, 'half an i');
  await assert.rejects(addRevocations(path, [ID_A]), {
    code: 'invalid_request',
    message: /:1, got/,
  });
  assert.equal(readFileSync(path, 'utf8'), 'half an i');
  assert.equal(existsSync(`${path}.next`), false);
  writeFileSync(path, '');
  writeFileSync(`${path}.next`, '');
  await assert.rejects(addRevocations(path, [ID_A]), {
    code: 'invalid_request',
    message: `expected to write ${path}.next, which must not exist: another revocation may be under way, got EEXIST`,
  });
  assert.equal(readFileSync(path, 'utf8'), '');
  assert.equal(existsSync(`${path}.next`), true);
});

test('of two who revoke at once nobody is forgotten: one is done, or told that it is not', async () => {
  const path = join(makeDirectory(), 'revoked');
  const ids = Array.from({ length: 20 }, (_, i) => i.toString(16).padStart(2, '0').repeat(64));
  const done = await Promise.allSettled(ids.map((id) => addRevocations(path, [id])));
  const added = ids.filter((_, i) => done[i]?.status === 'fulfilled');
  assert.ok(added.length > 0 && added.length < ids.length, `${added.length}`);
  assert.deepEqual([...parseRevocations(readFileSync(path, 'utf8'), path)].sort(), added);
});
