/**
 * Servers started with random configurations: each is up with all that it names, or there is nothing of
 * it. QUORATE_TEST_SEED repeats a run, QUORATE_TEST_LONG=1 makes a long one.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { request as plainRequest, type RequestOptions } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { RegistryError } from '../../src/core/error.ts';
import { type Config, loadConfig } from '../../src/server/config.ts';
import type { RunningServer } from '../../src/server/running.ts';
import { startServer } from '../../src/server/start.ts';
import { ConfigWorld, SPOILED, type StartDraw } from '../support/config-world.ts';
import { makeRandom } from '../support/random.ts';
import { openCertificates } from '../support/server-certificates.ts';

const IS_LONG = process.env.QUORATE_TEST_LONG === '1';
const RUNS = IS_LONG ? 400 : 25;

interface Answer {
  readonly status: number;
  readonly body: string;
}

async function ask(url: string, path: string, isTls: boolean): Promise<Answer> {
  const place: RequestOptions = url.startsWith('unix:')
    ? { socketPath: url.slice('unix:'.length) }
    : { host: new URL(url).hostname, port: new URL(url).port };
  const options = { ...place, path, agent: false, headers: { host: 'localhost' } };
  const response = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    const asked = isTls
      ? tlsRequest({ ...options, rejectUnauthorized: false }, resolve)
      : plainRequest(options, resolve);
    asked.on('error', reject).end();
  });
  return { status: response.statusCode ?? 0, body: await text(response) };
}

/** Every listener that the configuration names answers. */
async function assertUp({ url, metricsUrl }: RunningServer, config: Config): Promise<void> {
  const isTls = config.tls !== null;
  assert.equal((await ask(url, '/version', isTls)).status, 200);
  const ready = await ask(url, '/readyz', isTls);
  assert.match(JSON.parse(ready.body).missing[0], /^a genesis/);
  assert.equal((await ask(url, '/livez', isTls)).status, 200);
  assert.equal(metricsUrl === null, config.metricsListen === null);
  if (metricsUrl !== null) {
    const { body } = await ask(new URL(metricsUrl).origin, '/metrics', false);
    assert.match(body, /^http_requests_total/m);
  }
  if (config.operatorListen !== null) {
    const { status } = await ask(`unix:${config.operatorListen}`, '/operator/status', false);
    assert.equal(status, 200);
  }
}

/** What keeps this process alive, such as a listener, a worker or a timer that somebody forgot. */
function alive(): string {
  return process.getActiveResourcesInfo().toSorted().join(' ');
}

/** Handles are closed in a later turn of the loop than their promises. */
async function assertNothingLeft(before: string, { directory, flags }: StartDraw): Promise<void> {
  for (let turn = 0; turn < 10_000 && alive() !== before; turn++) await setImmediate();
  assert.equal(alive(), before);
  const files = readdirSync(directory).filter((name) => name !== 'data');
  assert.deepEqual(files, []);
  if (flags.profile === 'micronode') assert.equal(existsSync(join(directory, 'data')), false);
  else if (existsSync(join(directory, 'data')))
    assert.doesNotMatch(readdirSync(join(directory, 'data')).join(' '), /\.sock|-wal/);
}

function load({ flags }: StartDraw): Config | RegistryError {
  try {
    return loadConfig({ flags, isInMemory: () => true });
  } catch (error) {
    assert.ok(error instanceof RegistryError, String(error));
    return error;
  }
}

async function start(config: Config): Promise<RunningServer | RegistryError> {
  try {
    return await startServer(config, { stdout: { write: () => {} } });
  } catch (error) {
    assert.ok(error instanceof RegistryError, String(error));
    return error;
  }
}

type Outcome = 'up' | 'misconfigured' | 'failed';

async function tryOut(draw: StartDraw): Promise<Outcome> {
  const before = alive();
  const config = load(draw);
  const server = config instanceof RegistryError ? config : await start(config);
  if (server instanceof RegistryError || config instanceof RegistryError) {
    await assertNothingLeft(before, draw);
    return config === server ? 'misconfigured' : 'failed';
  }
  try {
    await assertUp(server, config);
  } finally {
    await server.stop();
  }
  await assertNothingLeft(before, draw);
  return 'up';
}

test('a server is up with every listener it names, or threw and left nothing', async (t) => {
  const certificates = openCertificates(t);
  if (certificates === undefined) return;
  const seed = Number(process.env.QUORATE_TEST_SEED ?? Date.now() % 2 ** 31);
  t.diagnostic(`seed ${seed}`);
  const random = makeRandom(seed);
  const world = await ConfigWorld.open(t, certificates.make('server'));
  const counts = { up: 0, misconfigured: 0, failed: 0 };
  for (let run = 0; run < RUNS; run++) {
    const draw = world.draw(random, SPOILED[run % SPOILED.length] ?? 'nothing');
    try {
      const outcome = await tryOut(draw);
      counts[outcome]++;
      const expected = { nothing: 'up', use: 'failed', value: 'misconfigured', several: outcome };
      assert.equal(outcome, expected[draw.spoiled]);
    } catch (cause) {
      const shown = `run ${run} of seed ${seed}: ${JSON.stringify(draw.flags)}`;
      throw new Error(`${shown}: ${cause instanceof Error ? cause.message : cause}`, { cause });
    }
  }
  world.assertUntouched();
  t.diagnostic(JSON.stringify(counts));
});
