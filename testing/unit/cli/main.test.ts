import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Interruption } from '../../../src/cli/io.ts';
import { createProgram } from '../../../src/cli/program.ts';
import { createClient } from '../../../src/client/create.ts';
import { RegistryError } from '../../../src/core/error.ts';
import { runCli } from '../../support/cli-io.ts';
import { makeDirectory, openCliStage } from '../../support/cli-stage.ts';
import { DrivenClock } from '../../support/client-clock.ts';

const world = { env: { QUORATE_STATE: makeDirectory() } };

for (const [argv, message] of [
  [['hed'], /^quorate: unknown command 'hed' \(Did you mean head\?\)\n/],
  [['head', '--bad'], /^quorate: unknown option '--bad'/],
  [['get'], /^quorate: missing required argument 'version'/],
  [['get', '-1'], /^quorate: /],
  [['get', '01'], /Expected a version/],
  [['log', '-n', '0'], /Expected a number from 1 up/],
  [['cat', 'nokey'], /Expected KIND\/ID/],
  [['cat', 'service/a//b'], /Expected KIND\/ID/],
  [['commit', 'b3:1'], /Expected b3: and 64/],
  [['head', '--registry', 'x'], /Expected b3: and 64/],
  [['propose'], /expected either -f .* or --payload/],
  [['plan'], /expected -f with a declared set/],
  [['plan', '-f', '-', '--kind', 'No'], /expected --kind with a kind/],
  [['plan', '-f', '-', '--expires', '31d'], /Expected a time such as/],
  [['keygen', '-o', 'x.pem'], /expected --id with a signer id/],
  [['keygen', '-o', 'x.pem', '--log'], /expected --origin with an origin/],
  [['supersede', '--reason', 'Mood', '--no-changes'], /Allowed choices are KeyCompromise/],
  [['supersede', '--reason', 'Other'], /expected either -f .* or --no-changes/],
  [['signers', 'set'], /expected either -o .* or --propose/],
  [['init'], /expected --origin, --threshold, --signer and --log-key/],
  [['approve', 'x'], /expected either --key to sign with or --approval/],
  [['review', '--offline', `b3:${'0'.repeat(64)}`], /expected a payload file with --offline/],
] as const)
  test(`${['quorate', ...argv].join(' ').slice(0, 60)} is a usage error that says what was expected`, async () => {
    const { code, stdout, stderr } = await runCli(argv, world);
    assert.equal(code, 2);
    assert.equal(stdout, '');
    assert.match(stderr, message);
    assert.match(stderr, /quorate --help/);
  });

test('no command at all, or half of one, prints help on standard error and is a usage error', async () => {
  for (const argv of [[], ['config'], ['help', 'nothing']]) {
    const { code, stdout, stderr } = await runCli(argv, world);
    assert.deepEqual([code, stdout], [2, '']);
    assert.match(stderr, /^Usage: quorate/);
    assert.doesNotMatch(stderr, /^quorate:/m);
  }
});

test('help and the version are data', async () => {
  const help = await runCli(['--help'], world);
  assert.deepEqual([help.code, help.stderr], [0, '']);
  assert.match(help.stdout, /Exit codes: 0 done/);
  const version = await runCli(['--version'], world);
  assert.deepEqual([version.code, version.stderr], [0, '']);
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  assert.match((await runCli(['init', 'commit', '--help'], world)).stdout, /--data <dir>/);
});

test('with --json a failure is one JSON line on standard error', async () => {
  const { code, stdout, stderr } = await runCli(['head', '--json', '--bad'], world);
  assert.deepEqual([code, stdout], [2, '']);
  assert.deepEqual(JSON.parse(stderr), {
    code: 'usage',
    message: "unknown option '--bad'",
    details: {},
  });
});

test('the environment stands in for options, and an option wins over it', async () => {
  const asked: string[] = [];
  const connect = (options: { url: string; registry?: string }) => {
    asked.push(`${options.url} ${options.registry}`);
    return createClient({ url: options.url });
  };
  const registry = `b3:${'1'.repeat(64)}`;
  const env = {
    QUORATE_URL: 'ftp://a',
    QUORATE_REGISTRY: registry,
    XDG_STATE_HOME: 'relative',
    HOME: '/nowhere',
  };
  const failed = await runCli(['head'], { env, connect });
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /expected a base url/);
  await runCli(['head', '--url', 'ftp://b'], { env: { ...env, QUORATE_REGISTRY: '' }, connect });
  assert.deepEqual(asked, [`ftp://a ${registry}`, 'ftp://b undefined']);
  const wrong = await runCli(['head'], { env: { QUORATE_REGISTRY: 'b3:1' } });
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /in QUORATE_REGISTRY/);
});

test('trusted state lies under the XDG state home unless the user says where', async () => {
  const stage = await openCliStage();
  const home = makeDirectory();
  const inHome = { env: { HOME: home } };
  const connect = {
    connect: (options: Parameters<typeof createClient>[0]) =>
      createClient({ ...options, fetch: stage.fetch }),
  };
  await runCli(['head', '--url', 'http://a'], { ...inHome, ...connect });
  assert.ok(existsSync(join(home, '.local/state/quorate/http%3A%2F%2Fa.json')));
  await runCli(['head', '--url', 'http://a', '--registry', stage.registryHash], {
    env: { HOME: home, XDG_STATE_HOME: join(home, 'xdg') },
    ...connect,
  });
  assert.ok(existsSync(join(home, `xdg/quorate/${stage.registryHash.replace(':', '-')}.json`)));
});

test('a message from the registry cannot act on the terminal', async () => {
  const stage = await openCliStage();
  stage.lie(() => {
    const problem = { code: 'not_found', detail: 'expected \u001b[2J \u202e nothing' };
    const headers = { 'content-type': 'application/problem+json' };
    return new Response(JSON.stringify(problem), { status: 404, headers });
  });
  const { code, stderr } = await stage.cli('head');
  assert.equal(code, 1);
  assert.match(stderr, /^[\x20-\x7e\n]+$/);
});

test('colours come with a terminal, and NO_COLOR and FORCE_COLOR decide', async () => {
  const stage = await openCliStage();
  const declared = stage.write('a.json', [{ kind: 'service', id: 'a', spec: {} }]);
  const plan = async (isTerminal: boolean, env: Record<string, string>) =>
    (await stage.cliIn({ isTerminal, env }, 'plan', '-f', declared)).stdout.includes(
      '\u001b[32m+ service/a',
    );
  assert.equal(await plan(true, {}), true);
  assert.equal(await plan(false, {}), false);
  assert.equal(await plan(true, { NO_COLOR: '1' }), false);
  assert.equal(await plan(true, { TERM: 'dumb' }), false);
  assert.equal(await plan(false, { FORCE_COLOR: '1' }), true);
  assert.equal(await plan(true, { FORCE_COLOR: '0' }), false);
});

test('an interrupt ends a command with its code and the process with it', async () => {
  const interruption = new AbortController();
  const left: number[] = [];
  const running = runCli(['head'], {
    interrupt: interruption.signal,
    leave: (code) => left.push(code),
    connect: () => {
      interruption.abort(new Interruption(130));
      // As a registry that never answers.
      return createClient(
        { url: 'http://a', fetch: () => new Promise(() => {}) },
        new DrivenClock(),
      );
    },
    ...world,
  });
  const { code, stderr } = await running;
  assert.deepEqual([code, stderr, left], [130, '', [130]]);
});

test('a defect shows its stack only when it is asked for', async () => {
  const connect = () => {
    throw new TypeError('x is not a function');
  };
  const plain = await runCli(['head'], { connect, ...world });
  assert.equal(plain.code, 1);
  assert.doesNotMatch(plain.stderr, /at connect/);
  const debug = await runCli(['head'], { connect, env: { ...world.env, QUORATE_DEBUG: '1' } });
  assert.match(debug.stderr, /at connect/);
});

test('a command loads the modules it needs and no others', async () => {
  const io = { env: {}, stdout: silent(), stderr: silent() };
  const { command } = await createProgram(
    {
      ...io,
      stdin: empty(),
      terminal: undefined,
      now: Date.now,
      interrupt: new AbortController().signal,
    },
    { words: ['head'], endOnInterrupt: () => {} },
  );
  const optionsOf = (name: string) =>
    command.commands.find((child) => child.name() === name)?.options;
  assert.deepEqual(optionsOf('serve'), []);
  assert.deepEqual(optionsOf('ls'), []);
});

test('an error that is no refusal of the registry keeps its code', async () => {
  const connect = () => {
    throw new RegistryError('stale', 'expected news within 120 s, got none');
  };
  assert.equal((await runCli(['head'], { connect, ...world })).code, 3);
});

function silent() {
  return { write: async () => {}, isTerminal: false, columns: 80 };
}

async function* empty(): AsyncGenerator<Uint8Array> {}
