/**
 * Slowdowns on purpose, in a server that is measured: what proves that the gate sees them. Only
 * `registry-server.ts` takes them, and only by an argument.
 */
import { timingSafeEqual } from 'node:crypto';
import { ServerResponse } from 'node:http';
import { Socket } from 'node:net';

export interface Planted {
  /** Microseconds more of processor for each piece that is written to a socket: of a small read, for each answer. */
  readonly readUs: number;
  /** The same for each answer of status 201 that node:http gives: for each commit. */
  readonly commitUs: number;
  /** MiB held and touched. */
  readonly memoryMib: number;
}

export const NOTHING_PLANTED: Planted = { readUs: 0, commitUs: 0, memoryMib: 0 };

export function formatPlan({ readUs, commitUs, memoryMib }: Planted): string {
  return [readUs, commitUs, memoryMib].join(',');
}

/** Throws unless it is three numbers that are not negative. */
export function parsePlan(text: string): Planted {
  const numbers = text.split(',').map(Number);
  const [readUs = Number.NaN, commitUs = Number.NaN, memoryMib = Number.NaN] = numbers;
  if (numbers.length !== 3 || !numbers.every((number) => number >= 0 && Number.isFinite(number)))
    throw new Error(`expected three numbers, got ${text}`);
  return { readUs, commitUs, memoryMib };
}

/** To be called before anything listens. */
export function plant({ readUs, commitUs, memoryMib }: Planted): void {
  if (readUs > 0) slowWrites(readUs);
  if (commitUs > 0) slowCommits(commitUs);
  if (memoryMib > 0) hold(memoryMib);
}

function slowWrites(us: number): void {
  const work = workOf(us);
  const write = Socket.prototype.write as (...given: unknown[]) => boolean;
  Socket.prototype.write = function (this: Socket, chunk: unknown, how?: unknown, done?: unknown) {
    burn(work);
    return write.call(this, chunk, how, done);
  };
}

function slowCommits(us: number): void {
  const work = workOf(us);
  const writeHead = ServerResponse.prototype.writeHead;
  ServerResponse.prototype.writeHead = function (
    this: ServerResponse,
    status: number,
    ...rest: never[]
  ) {
    if (status === 201) burn(work);
    return writeHead.call(this, status, ...rest);
  };
}

function hold(mib: number): void {
  const held = Buffer.alloc(mib * 1024 * 1024, 1);
  // As long as the process lives something must still want it.
  process.once('exit', () => held.fill(0, 0, 1));
}

/**
 * So long at least, and as much longer as the machine is slower than it was at the start: a fifth stays one. Bytes
 * are compared, in native code, because code of V8 takes seconds of load until it runs at its speed.
 */
interface Work {
  readonly us: number;
  readonly bytes: Uint8Array;
  readonly times: number;
}

const MAX_BYTES = 4_096;
const TRIALS = 2_000;

function workOf(us: number): Work {
  const bytes = new Uint8Array(MAX_BYTES);
  let leastUs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TRIALS; i++) {
    const began = performance.now();
    timingSafeEqual(bytes, bytes);
    leastUs = Math.min(leastUs, (performance.now() - began) * 1_000);
  }
  const times = Math.ceil(us / leastUs);
  const length = Math.round((MAX_BYTES * us) / leastUs / times);
  return { us, bytes: bytes.subarray(0, length), times };
}

function burn({ us, bytes, times }: Work): void {
  const end = performance.now() + us / 1_000;
  for (let i = 0; i < times; i++) timingSafeEqual(bytes, bytes);
  while (performance.now() < end);
}
