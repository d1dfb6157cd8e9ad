/**
 * What a server's own histogram says of the requests of one route: from when a request is handed to the registry to
 * when its answer is made. Reading it from the socket and writing to it come on top.
 */

export interface RouteLatency {
  readonly count: number;
  readonly sumSeconds: number;
  /** Ascending; each counts what the ones before it do. */
  readonly buckets: readonly { readonly atMostSeconds: number; readonly count: number }[];
}

/** `route`: the template that it is measured by. */
export async function readRouteLatency(metricsUrl: string, route: string): Promise<RouteLatency> {
  const response = await fetch(metricsUrl);
  return parseRouteLatency(await response.text(), route);
}

/** Of GET; of a route that was never asked for, nothing. */
export function parseRouteLatency(page: string, route: string): RouteLatency {
  const lines = page
    .split('\n')
    .filter((line) => line.includes(`route="${route}",method="GET"}`))
    .map((line) => ({ line, value: Number(line.slice(line.lastIndexOf(' '))) }));
  const named = (name: string) =>
    lines.filter(({ line }) => line.startsWith(`request_latency_seconds_${name}{`));
  return {
    count: named('count')[0]?.value ?? 0,
    sumSeconds: named('sum')[0]?.value ?? 0,
    buckets: named('bucket').map(({ line, value }) => {
      const bound = /le="([^"]+)"/.exec(line)?.[1];
      return {
        atMostSeconds: bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound),
        count: value,
      };
    }),
  };
}

export interface LatencyBetween {
  readonly count: number;
  readonly meanUs: number;
  /** The bound of the bucket that the quantile falls into. */
  readonly atMostUs: (quantile: number) => number;
}

/** Of the requests between two readings; throws where there are none. */
export function latencyBetween(before: RouteLatency, after: RouteLatency): LatencyBetween {
  const count = after.count - before.count;
  if (!(count > 0)) throw new Error('expected requests that the server has measured, got none');
  return {
    count,
    meanUs: ((after.sumSeconds - before.sumSeconds) / count) * 1e6,
    atMostUs: (quantile) => {
      const found = after.buckets.find(
        (bucket, i) => bucket.count - (before.buckets[i]?.count ?? 0) >= quantile * count,
      );
      return (found?.atMostSeconds ?? Number.NaN) * 1e6;
    },
  };
}
