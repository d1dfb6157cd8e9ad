/** The part of autocannon that is used here; the package has no types. */
declare module 'autocannon' {
  interface Options {
    readonly url: string;
    readonly connections: number;
    /** Seconds. */
    readonly duration: number;
    readonly headers?: Readonly<Record<string, string>>;
    /** Default GET. */
    readonly method?: string;
    readonly body?: string;
  }

  interface Outcome {
    /** Seconds. */
    readonly duration: number;
    readonly '2xx': number;
    readonly '3xx': number;
    readonly '4xx': number;
    readonly '5xx': number;
    readonly errors: number;
    readonly timeouts: number;
    /** Whole milliseconds. */
    readonly latency: Readonly<Record<'p50' | 'p75' | 'p90' | 'p97_5' | 'p99' | 'p99_9', number>>;
  }

  export default function autocannon(options: Options): Promise<Outcome>;
}
