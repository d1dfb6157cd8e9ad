/**
 * How much of the machine others had while something was measured: what both cores did, without what the
 * run itself, its servers and the load generators did. A round beside busy neighbours says little.
 */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { cpuUs } from './machine.ts';

/** Of the kernel's account for programs. */
const TICK_US = 10_000;

export class Neighbours {
  readonly #pids: readonly number[];
  readonly #beganMs = performance.now();
  readonly #busyUs = busyUs();
  readonly #oursUs: number;

  /** `pids`: servers that run before and after. What starts and ends in between is known by itself. */
  constructor(pids: readonly number[]) {
    this.#pids = pids;
    this.#oursUs = oursUs(pids);
  }

  /** 0 to 1, of all cores and not only those that this process is pinned to, since this was made. */
  share(): number {
    const others = busyUs() - this.#busyUs - (oursUs(this.#pids) - this.#oursUs);
    const wallUs = (performance.now() - this.#beganMs) * 1_000 * cpus().length;
    return Math.min(1, Math.max(0, others / wallUs));
  }
}

/** This process, its children that have ended, and servers that go on. */
function oursUs(pids: readonly number[]): number {
  // cutime and cstime.
  const ended = statOf('/proc/self/stat').slice(13, 15);
  const endedUs = ended.reduce((sum, ticks) => sum + Number(ticks) * TICK_US, 0);
  return pids.reduce((sum, pid) => sum + cpuUs(pid), cpuUs(process.pid) + endedUs);
}

/** Of a stat line from the state on: the name before it may hold anything. */
function statOf(path: string): readonly string[] {
  return readFileSync(path, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
}

function busyUs(): number {
  return parseBusyTicks(readFileSync('/proc/stat', 'utf8')) * TICK_US;
}

/**
 * What programs did, and what the hypervisor gave to other machines. Not interrupts: they are the network's,
 * which here is the run's own, and stand in no program's account.
 */
export function parseBusyTicks(text: string): number {
  const fields = /^cpu +(.*)$/m.exec(text)?.[1]?.split(' ').map(Number) ?? [];
  const [user = Number.NaN, nice = 0, system = 0, , , , , steal = 0] = fields;
  return user + nice + system + steal;
}
