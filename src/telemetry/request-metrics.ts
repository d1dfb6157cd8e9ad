/**
 * `http_requests_total` and `request_latency_seconds`, counted in arrays of our own and written out at a
 * scrape. They are the two that every request moves: prom-client takes 0.9 us for them, these 0.1 us, of
 * the 7 us that a read of the head costs in all.
 */
import { ClosedLabel, OTHER } from './labels.ts';
import type { Metrics } from './metrics.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'OPTIONS'];
// What alerts count: a rate does not see the step from no series to 1.
const WATCHED_CODES = [429, 500, 503];
// Route patterns come from our own code and are few; the room is a stop against a mistake.
const MAX_ROUTES = 64;

type RequestSample = Parameters<Metrics['httpRequest']>[0];

interface Series {
  readonly route: string;
  readonly method: string;
  /** Of each bound alone; those above the last one are in none. */
  readonly buckets: Float64Array;
  readonly counts: Map<number | typeof OTHER, number>;
  count: number;
  sum: number;
}

export class RequestMetrics {
  /** Ascending, in seconds. */
  readonly #bounds: readonly number[];
  readonly #routes = new ClosedLabel([], MAX_ROUTES);
  readonly #methods = new ClosedLabel(METHODS);
  readonly #series = new Map<string, Map<string, Series>>();

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
  }

  record({ route, method, code, seconds }: RequestSample): void {
    const series = this.#find(this.#routes.of(route), this.#methods.of(method));
    const known = code >= 100 && code <= 599 ? Math.trunc(code) : OTHER;
    series.counts.set(known, (series.counts.get(known) ?? 0) + 1);
    series.count++;
    series.sum += seconds;
    for (let i = 0; i < this.#bounds.length; i++)
      if (seconds <= (this.#bounds[i] as number)) {
        series.buckets[i] = (series.buckets[i] as number) + 1;
        return;
      }
  }

  /** Prometheus text exposition, ended by a line break. */
  render(): string {
    const all = [...this.#series.values()].flatMap((methods) => [...methods.values()]);
    const lines = [
      '# HELP http_requests_total Requests answered.',
      '# TYPE http_requests_total counter',
      ...all.flatMap(countLines),
      '# HELP request_latency_seconds From the arrival of a request to its answer; a stream is answered when it is open.',
      '# TYPE request_latency_seconds histogram',
      ...all.flatMap((series) => this.#latencyLines(series)),
    ];
    return `${lines.join('\n')}\n`;
  }

  #find(route: string, method: string): Series {
    let methods = this.#series.get(route);
    if (methods === undefined) {
      methods = new Map();
      this.#series.set(route, methods);
    }
    let series = methods.get(method);
    if (series === undefined) {
      series = {
        route,
        method,
        buckets: new Float64Array(this.#bounds.length),
        counts: new Map(WATCHED_CODES.map((code) => [code, 0])),
        count: 0,
        sum: 0,
      };
      methods.set(method, series);
    }
    return series;
  }

  #latencyLines(series: Series): string[] {
    const labels = labelsOf(series);
    let below = 0;
    const buckets = this.#bounds.map((bound, i) => {
      below += series.buckets[i] as number;
      return `request_latency_seconds_bucket{le="${bound}",${labels}} ${below}`;
    });
    return [
      ...buckets,
      `request_latency_seconds_bucket{le="+Inf",${labels}} ${series.count}`,
      `request_latency_seconds_sum{${labels}} ${series.sum}`,
      `request_latency_seconds_count{${labels}} ${series.count}`,
    ];
  }
}

function countLines(series: Series): string[] {
  const labels = labelsOf(series);
  return [...series.counts].map(
    ([code, count]) => `http_requests_total{${labels},code="${code}"} ${count}`,
  );
}

/** Both are of closed sets of our own: nothing in them is to be escaped. */
function labelsOf({ route, method }: Series): string {
  return `route="${route}",method="${method}"`;
}
