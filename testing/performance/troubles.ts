/** What may be wrong with a server that is measured: subscribers do not read, its event loop is blocked, its disk is slow. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { RegistryProcess } from './registry-process.ts';
import { slowLaneUnevenly } from './slowed-process.ts';

const SLOWER_MS = 50;
const STALLED = 50;
/** So often the loop is blocked, by `loop-block.ts`: for a twentieth of the time: p95 could not be kept with more. */
const BLOCK_EVERY_MS = 2_100;
const FIRST_BLOCK_MS = 500;

export interface Trouble {
  readonly name: string;
  readonly seconds: number;
  /** The code with which writes must be refused: were none, the trouble was not there. */
  readonly sheds: 'storage_slow' | 'loop_late' | undefined;
  /** It is over when what this answers is disposed. */
  readonly begin: (server: RegistryProcess) => Promise<AsyncDisposable>;
}

/** The disk last: what it leaves, shut gates, then passes while reads are measured alone. */
export const TROUBLES: readonly Trouble[] = [
  {
    name: `${STALLED} subscribers that never read`,
    seconds: 2,
    sheds: undefined,
    begin: stallSubscribers,
  },
  {
    name: 'the event loop blocked for 100 ms again and again',
    seconds: 4,
    sheds: 'loop_late',
    begin: blockAgainAndAgain,
  },
  {
    name: `fsyncs ${SLOWER_MS} ms slower, unevenly`,
    seconds: 3,
    sheds: 'storage_slow',
    begin: ({ pid }) => slowLaneUnevenly(pid, SLOWER_MS),
  },
];

/**
 * All that was ever committed is sent to each of them, and then what is committed. The kernel keeps some
 * megabytes for one who does not read: they cost the server its writes, and what is not sent it never holds.
 */
async function stallSubscribers(server: RegistryProcess): Promise<AsyncDisposable> {
  const { hostname, port } = new URL(server.url);
  const sockets = Array.from({ length: STALLED }, () => connect(Number(port), hostname));
  await Promise.all(sockets.map(stall));
  return {
    [Symbol.asyncDispose]: async () => {
      const subscribed = await subscribersOf(server);
      const bytes = sockets.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
      await Promise.all(sockets.map((socket) => once(socket.destroy(), 'close')));
      if (subscribed !== STALLED || bytes > 0)
        throw new Error(
          `expected ${STALLED} subscribers that read nothing, got ${subscribed} and ${bytes} bytes`,
        );
    },
  };
}

async function stall(socket: Socket): Promise<void> {
  socket.pause();
  await once(socket, 'connect');
  // That it is no subscriber any more is seen at its end.
  socket.on('error', () => undefined);
  socket.write('GET /registry/stream?after=0 HTTP/1.1\r\nhost: localhost\r\n\r\n');
}

async function subscribersOf({ metricsUrl }: RegistryProcess): Promise<number> {
  const page = await (await fetch(metricsUrl)).text();
  return Number(/^registry_stream_subscribers (\d+)$/m.exec(page)?.[1]);
}

async function blockAgainAndAgain({ pid }: RegistryProcess): Promise<AsyncDisposable> {
  const block = () => void process.kill(pid, 'SIGUSR2');
  let every: NodeJS.Timeout | undefined;
  const first = setTimeout(() => {
    block();
    every = setInterval(block, BLOCK_EVERY_MS);
  }, FIRST_BLOCK_MS);
  return {
    [Symbol.asyncDispose]: async () => {
      clearTimeout(first);
      clearInterval(every);
    },
  };
}
