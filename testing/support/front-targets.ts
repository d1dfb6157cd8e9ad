/** One registry behind three ways to the same answers: the front, node:http with what is ready, and the app alone. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { TestContext } from 'node:test';
import { ERROR_CODES } from '../../src/core/error.ts';
import type { ReadyReads } from '../../src/http/ready-reads.ts';
import type { Registry } from '../../src/registry/registry.ts';
import { apiListener } from '../../src/server/api-listener.ts';
import { loadConfig } from '../../src/server/config.ts';
import type { Address } from '../../src/server/config-values.ts';
import { HttpServer, type HttpServerOptions } from '../../src/server/http-server.ts';
import { createLog } from '../../src/server/log.ts';
import { createMetrics } from '../../src/telemetry/create-metrics.ts';
import { NO_TRACER, type Tracer } from '../../src/telemetry/tracer.ts';
import { openTestRegistry, put } from './registry.ts';
import { DEFAULT_TIMEOUTS } from './server-listening.ts';
import { untilClosed } from './server-socket.ts';

export interface Target {
  readonly name: 'front' | 'node' | 'app';
  readonly address: Address;
  readonly server: HttpServer;
  readonly registry: Registry;
  /** Answers that came from what is ready. */
  readonly ready: () => number;
  /** The value of a series. */
  readonly metric: (series: string) => Promise<number>;
}

const CONFIG = loadConfig({
  flags: { profile: 'micronode', max_reads_per_minute: '1000000000' },
});

/** Over a registry with two versions. */
export async function openTargets(
  t: TestContext,
  timeouts: HttpServerOptions['timeouts'] = DEFAULT_TIMEOUTS,
): Promise<readonly Target[]> {
  const { registry, change } = await openTestRegistry();
  await change(put('one', { port: 80 }));
  const open = async (name: Target['name'], tracer: Tracer): Promise<Target> => {
    const metrics = createMetrics({
      build: { version: 'test', node: 'test' },
      reasons: ERROR_CODES,
      now: () => performance.now(),
      isProcessObserved: false,
    });
    const parts = {
      registry,
      metrics,
      tracer,
      log: createLog({ level: 'silent' }),
      build: { version: '0.1.0', revision: null },
    };
    const { listener, readyReads } = apiListener(parts, () => CONFIG);
    let count = 0;
    const countedAnswer = <A>(answer: A | undefined): A | undefined => {
      if (answer !== undefined) count++;
      return answer;
    };
    const counted: ReadyReads = {
      read: (read, from) => countedAnswer(readyReads.read(read, from)),
      stream: (read, from) => countedAnswer(readyReads.stream(read, from)),
    };
    const server = new HttpServer({
      timeouts,
      listener,
      ...(name === 'front' && { front: { readyReads: counted, isProxy: () => false } }),
      onRefused: () => undefined,
      onError: (error) => assert.fail(error),
    });
    t.after(() => server.close(0));
    return {
      name,
      server,
      registry,
      address: await server.listen({ host: '127.0.0.1', port: 0 }),
      ready: () => count,
      metric: async (series) => {
        const { text } = await metrics.render();
        const line = text.split('\n').find((l) => l.startsWith(`${series} `));
        return Number(line?.slice(series.length + 1) ?? 0);
      },
    };
  };
  // What is traced is never answered from what is ready.
  const traced: Tracer = { ...NO_TRACER };
  return [await open('front', NO_TRACER), await open('node', NO_TRACER), await open('app', traced)];
}

export interface Heard {
  /** Everything that came, with what differs by nature made equal. */
  readonly text: string;
  /** By a reset, which may have overtaken bytes: a server that closes has not read what came after. */
  readonly isCut: boolean;
}

/** Sends the pieces one after another, each by itself, then ends its side. */
export async function answersTo(
  { address }: Pick<Target, 'address'>,
  pieces: readonly string[],
): Promise<Heard> {
  const socket = connect({ ...address, noDelay: true, allowHalfOpen: true });
  let isCut = false;
  socket.once('error', () => {
    isCut = true;
  });
  const answer = untilClosed(socket);
  await once(socket, 'connect');
  for (const piece of pieces) {
    if (socket.readableEnded || socket.destroyed) break;
    // Nothing comes for a part of a request: then the server has at least read it.
    const patienceMs = piece.endsWith('\r\n\r\n') ? 1_000 : 20;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, patienceMs);
      for (const event of ['data', 'end', 'close'])
        socket.once(event, () => {
          clearTimeout(timer);
          resolve();
        });
      socket.write(piece, 'latin1');
    });
  }
  socket.end();
  return { text: normalised(await answer), isCut };
}

function normalised(text: string): string {
  return text
    .replace(/^retry: \d{4}$/gm, 'retry: <ms>')
    .replace(/\b[0-9a-f]{32}\b/g, '<corr id>')
    .replace(
      /^Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r$/gm,
      'Date: <now>\r',
    );
}
