/** Readers that never rest: while something is done to a server, each of their answers is looked at. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

const PAUSE_MS = 10;
/** For the last event to arrive. */
const STREAM_MS = 5_000;
const PATHS = ['/registry/head', '/registry/0', '/checkpoint', '/tile/0/000.p/1', '/healthz'];

interface Failure {
  readonly what: string;
  readonly atMs: number;
}

export interface ReaderReport {
  readonly answers: number;
  readonly slowestMs: number;
  readonly failures: readonly Failure[];
}

export class ReaderLoop {
  readonly #url: string;
  readonly #failures: Failure[] = [];
  readonly #stop = new AbortController();
  readonly #etags = new Map<string, string>();
  #answers = 0;
  #slowestMs = 0;
  #stream = '';
  #running: Promise<unknown> = Promise.resolve();

  private constructor(url: string) {
    this.#url = url;
  }

  /** Of a registry with a genesis; resolves when every path and the stream have answered once. Ends with the test. */
  static async start(t: TestContext, url: string): Promise<ReaderLoop> {
    const loop = new ReaderLoop(url);
    t.after(() => loop.stop());
    for (const path of PATHS) await loop.#read(path);
    const stream = await fetch(`${url}/registry/stream?after=0`, {
      signal: loop.#stop.signal,
    });
    loop.#running = Promise.all([loop.#follow(stream), ...PATHS.map((path) => loop.#repeat(path))]);
    return loop;
  }

  /** The stream has brought every version up to `head`, every answer was there, and none later than `boundMs`. */
  async assertGreen({ head, boundMs }: { head: number; boundMs: number }): Promise<ReaderReport> {
    const end = performance.now() + STREAM_MS;
    while (this.#versions.length < head && performance.now() < end) await delay(PAUSE_MS);
    const report = await this.stop();
    assert.deepEqual(report.failures, []);
    assert.deepEqual(
      this.#versions,
      Array.from({ length: head }, (_, i) => i + 1),
    );
    assert.ok(report.answers > 2 * PATHS.length, `${report.answers} answers`);
    assert.ok(report.slowestMs < boundMs, `an answer took ${report.slowestMs} ms`);
    return report;
  }

  async stop(): Promise<ReaderReport> {
    this.#stop.abort();
    await this.#running;
    return { answers: this.#answers, slowestMs: this.#slowestMs, failures: this.#failures };
  }

  /** Of the events that the open stream brought. */
  get #versions(): readonly number[] {
    return [...this.#stream.matchAll(/^id: (\d+)\n/gm)].map(([, id]) => Number(id));
  }

  async #repeat(path: string): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#read(path);
      await delay(PAUSE_MS);
    }
  }

  async #read(path: string): Promise<void> {
    const startedMs = performance.now();
    try {
      const etag = this.#etags.get(path);
      const response = await fetch(this.#url + path, {
        headers: etag === undefined ? {} : { 'if-none-match': etag },
      });
      await response.arrayBuffer();
      if (response.status !== 200 && response.status !== 304)
        this.#fail(`${path}: ${response.status}`);
      this.#etags.set(path, response.headers.get('etag') ?? '""');
      this.#answers++;
    } catch (error) {
      this.#fail(`${path}: ${error}`);
    }
    this.#slowestMs = Math.max(this.#slowestMs, performance.now() - startedMs);
  }

  async #follow(stream: Response): Promise<void> {
    try {
      const text = stream.body?.pipeThrough(new TextDecoderStream());
      for await (const chunk of text ?? []) this.#stream += chunk;
      this.#fail('the stream ended');
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#fail(`the stream broke: ${error}`);
    }
  }

  #fail(what: string): void {
    this.#failures.push({ what, atMs: performance.now() });
  }
}
