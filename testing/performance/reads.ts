/** Reads over HTTP: requests a second of the registry beside those of bare node:http, in turns. */
import autocannon from 'autocannon';
import { startChild } from './child.ts';
import { median, type Result, resultOf } from './result.ts';

const CONNECTIONS = 16;

interface ReadPlan {
  /** Of a running registry with at least version 0. */
  readonly url: string;
  readonly rounds: number;
  /** Of each turn of each target. */
  readonly secondsPerTurn: number;
}

export async function measureReads({
  url,
  rounds,
  secondsPerTurn,
}: ReadPlan): Promise<readonly Result[]> {
  await using bare = await startChild('bare-server.ts');
  const targets = {
    'read head': `${url}/registry/head`,
    'read a version': `${url}/registry/0`,
    bare: bare.url,
  };
  const rates = new Map(Object.keys(targets).map((name) => [name, [] as number[]]));
  for (const target of Object.values(targets)) await requestsPerSecond(target, 1);
  for (let round = 0; round < rounds; round++)
    for (const [name, target] of Object.entries(targets))
      rates.get(name)?.push(await requestsPerSecond(target, secondsPerTurn));
  const rateOf = (name: string): number => median(rates.get(name) ?? []);
  return ['read head', 'read a version'].map((name) =>
    resultOf({
      name,
      value: rateOf(name),
      unit: 'requests/s',
      calibration: { name: 'bare node:http', value: rateOf('bare') },
    }),
  );
}

/** Throws unless every answer is a 2xx. */
async function requestsPerSecond(url: string, seconds: number): Promise<number> {
  const outcome = await autocannon({ url, connections: CONNECTIONS, duration: seconds });
  const bad = outcome.non2xx + outcome.errors + outcome.timeouts;
  if (bad > 0 || outcome['2xx'] === 0)
    throw new Error(`expected only 2xx from ${url}, got ${bad} other answers`);
  return outcome['2xx'] / outcome.duration;
}
