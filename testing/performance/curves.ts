/** What is drawn and not judged: the distribution of latencies, throughput against connections, sweeps of rates. */
import type { ChildServer } from './child.ts';
import type { Profile } from './figure.ts';
import { runLoad } from './load.ts';
import { type PacedTurn, readAt } from './paced.ts';
import { startReferences } from './references.ts';
import { startRegistry } from './registry-process.ts';
import type { Curve, CurveLine } from './run-file.ts';

const HEAD = '/registry/head';
const TURN_SECONDS = 1;

export interface CurvesPlan {
  readonly profile: Profile;
  readonly connections: readonly number[];
  readonly headRates: readonly number[];
  readonly versionRates: readonly number[];
}

export const SHORT_CURVES: Omit<CurvesPlan, 'profile'> = {
  connections: [1, 8, 64, 256],
  headRates: [],
  versionRates: [],
};

export const LONG_CURVES: Omit<CurvesPlan, 'profile'> = {
  connections: [1, 4, 16, 64, 256, 512],
  headRates: [500, 1_000, 1_500, 2_000, 2_500, 3_000],
  versionRates: [1_000, 2_000, 3_000, 4_000],
};

export async function measureCurves(plan: CurvesPlan): Promise<readonly Curve[]> {
  await using stack = new AsyncDisposableStack();
  const ours = stack.use(await startRegistry(plan.profile));
  const place = { url: ours.url, paths: new Set([HEAD, '/registry/0']) };
  const references = await startReferences(new Set(['nginx', 'bare node:http']), place, stack);
  const servers = new Map<string, ChildServer>([['quorate', ours], ...references]);
  for (const server of servers.values())
    await runLoad(server.url + HEAD, { connections: 64, seconds: TURN_SECONDS });
  const curves = await measureConnections(plan, servers);
  const sweeps = [
    { what: 'head', path: HEAD, rates: plan.headRates },
    { what: 'version', path: '/registry/0', rates: plan.versionRates },
  ].filter(({ rates }) => rates.length > 0);
  for (const sweep of sweeps) curves.push(await measureRates(plan.profile, ours, sweep));
  return curves;
}

async function measureConnections(
  { profile, connections }: CurvesPlan,
  servers: ReadonlyMap<string, ChildServer>,
): Promise<Curve[]> {
  const throughput: CurveLine[] = [];
  const distribution: CurveLine[] = [];
  for (const [name, server] of servers) {
    const points: [number, number][] = [];
    for (const count of connections) {
      const options = { connections: count, seconds: TURN_SECONDS };
      const { perSecond, latencyUs } = await runLoad(server.url + HEAD, options);
      points.push([count, perSecond]);
      if (count === 64)
        distribution.push({
          name,
          points: Object.entries(latencyUs).map(([at, us]) => [100 / (100 - Number(at)), us]),
        });
    }
    throughput.push({ name, points });
  }
  return [
    {
      title: `Latency distribution of the head, ${profile}`,
      xLabel: 'one of so many requests took longer (64 connections, as fast as answered)',
      yLabel: 'microseconds',
      isLogX: true,
      isLogY: true,
      lines: distribution.map((line) => ({
        ...line,
        points: line.points.toSorted(([a], [b]) => a - b),
      })),
    },
    {
      title: `Throughput against connections, ${profile}`,
      xLabel: 'connections',
      yLabel: 'requests a second',
      isLogX: true,
      isLogY: false,
      lines: throughput,
    },
  ];
}

/** Latency in microseconds and processor in thousandths of a core share one plot. */
async function measureRates(
  profile: Profile,
  server: ChildServer,
  { what, path, rates }: { what: string; path: string; rates: readonly number[] },
): Promise<Curve> {
  const turns: PacedTurn[] = [];
  for (const perSecond of rates) turns.push(await readAt(server, path, { perSecond, seconds: 2 }));
  const at = (turn: PacedTurn) => turn.perSecond;
  return {
    title: `Reads of the ${what} at fixed rates, ${profile}`,
    xLabel: 'requests a second',
    yLabel: 'microseconds; thousandths of a core',
    isLogX: false,
    isLogY: true,
    lines: [
      { name: 'p50', points: turns.map((turn) => [at(turn), turn.latency.p50]) },
      { name: 'p95', points: turns.map((turn) => [at(turn), turn.latency.p95]) },
      { name: 'p99', points: turns.map((turn) => [at(turn), turn.latency.p99]) },
      { name: 'processor', points: turns.map((turn) => [at(turn), turn.cpuShare * 1_000]) },
    ],
  };
}
