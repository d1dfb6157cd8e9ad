/**
 * Slowdowns on purpose, in a server that is measured: what proves that the gate sees them. Only
 * `registry-server.ts` takes them, and only by an argument.
 */
import { Socket } from 'node:net';

export interface Planted {
  /** Microseconds more of processor for each answer that is written to a socket. */
  readonly readUs: number;
  /** The same before each commit. */
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
  if (readUs > 0 || commitUs > 0) slowAnswers({ readUs, commitUs });
  if (memoryMib > 0) hold(memoryMib);
}

function slowAnswers({ readUs, commitUs }: Omit<Planted, 'memoryMib'>): void {
  const write = Socket.prototype.write;
  Socket.prototype.write = function (this: Socket, ...given: unknown[]): boolean {
    // Pipes to other processes and files have no such port.
    if (typeof this.remotePort === 'number')
      burn(isCommitted(given[0]) ? commitUs + readUs : readUs);
    return Reflect.apply(write, this, given);
  };
}

function hold(mib: number): void {
  const held = Buffer.alloc(mib * 1024 * 1024, 1);
  // As long as the process lives something must still want it.
  process.once('exit', () => held.fill(0, 0, 1));
}

function isCommitted(chunk: unknown): boolean {
  return startOf(chunk).startsWith('HTTP/1.1 201 ');
}

function startOf(chunk: unknown): string {
  if (typeof chunk === 'string') return chunk.slice(0, 16);
  return chunk instanceof Uint8Array ? Buffer.from(chunk.subarray(0, 16)).toString('latin1') : '';
}

function burn(us: number): void {
  const end = performance.now() + us / 1_000;
  while (performance.now() < end);
}
