/**
 * The machine under the measurements: which core the servers have and which the load, what a process has
 * used of processor and memory, and which of the references are installed.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';

const PATH = `${process.env.PATH}:/usr/sbin:/usr/local/sbin`;
const SERVER_CORE = '1';
const LOAD_CORE = '0';
/** Of /proc/PID/stat, as the kernel fixes it for programs. */
const TICK_US = 10_000;

export const TOOLS = ['wrk', 'nginx', 'taskset'] as const;
export type Tool = (typeof TOOLS)[number];

export function hasTool(tool: Tool): boolean {
  return PATH.split(':').some((directory) => existsSync(`${directory}/${tool}`));
}

/** With where Debian puts servers. */
export const TOOL_ENV: NodeJS.ProcessEnv = { ...process.env, PATH };

export const isPinned = hasTool('taskset') && availableParallelism() >= 2;

/** The load is made by this process and what it starts: all of it leaves the servers' core alone. */
export function pinLoad(): void {
  if (isPinned)
    execFileSync('taskset', ['-a', '-c', '-p', LOAD_CORE, String(process.pid)], {
      stdio: 'ignore',
    });
}

/** So that what a run has started ends with it, however it ends; a second signal does not cut that short. */
export function endOnSignals(): void {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.on(signal, () => process.exit(code));
}

/** The command that runs a server, on the core that is left to servers. */
export function asServer(
  command: string,
  parameters: readonly string[],
): { readonly command: string; readonly parameters: readonly string[] } {
  if (!isPinned) return { command, parameters };
  return { command: 'taskset', parameters: ['-c', SERVER_CORE, command, ...parameters] };
}

/** The command that runs a program on every core, also when this process has one alone. */
export function onAllCores(
  command: string,
  parameters: readonly string[],
): { readonly command: string; readonly parameters: readonly string[] } {
  if (!isPinned) return { command, parameters };
  return {
    command: 'taskset',
    parameters: ['-c', `0-${cpus().length - 1}`, command, ...parameters],
  };
}

/** Microseconds of processor that the process and its threads have used so far. */
export function cpuUs(pid: number): number {
  return scheduledUs(pid) ?? tickedUs(pid);
}

/** Exact to the nanosecond, where the kernel keeps it. `threads`: default, all. */
function scheduledUs(pid: number, threads?: readonly string[]): number | undefined {
  try {
    const spent = (threads ?? readdirSync(`/proc/${pid}/task`)).map((thread) =>
      Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
    );
    const total = spent.reduce((sum, ns) => sum + ns, 0) / 1_000;
    return total > 0 ? total : undefined;
  } catch {
    return undefined;
  }
}

/** Of its main thread alone: what answers requests, without those that work in the background. */
export function mainThreadUs(pid: number): number {
  return scheduledUs(pid, [`${pid}`]) ?? cpuUs(pid);
}

function tickedUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

/** Resident memory in MiB. */
export function residentMib(pid: number): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (found === null) throw new Error(`expected VmRSS of process ${pid}, got none`);
  return Number(found[1]) / 1024;
}

/** How many files and sockets a process may have open: this one and, by inheritance, what it starts. */
export function openFilesLimit(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const found = /^Max open files +(\d+|unlimited) /m.exec(limits)?.[1];
  return found === 'unlimited' ? Number.POSITIVE_INFINITY : Number(found);
}

/** Of a process that works in one child, as nginx does. */
export function onlyChild(pid: number): number | undefined {
  const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  return child === undefined || child === '' ? undefined : Number(child);
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
  readonly kernel: string;
  readonly commit: string;
  readonly isPinned: boolean;
  readonly tools: Readonly<Record<Tool, boolean>>;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    // Not those that are left to this process once it is pinned.
    cores: cpus().length,
    node: process.version,
    kernel: firstLine('uname', ['-r']),
    commit: firstLine('git', ['-C', import.meta.dirname, 'rev-parse', '--short=12', 'HEAD']),
    isPinned,
    tools: { wrk: hasTool('wrk'), nginx: hasTool('nginx'), taskset: hasTool('taskset') },
  };
}

function firstLine(command: string, parameters: readonly string[]): string {
  const { stdout } = spawnSync(command, [...parameters], { encoding: 'utf8' });
  return (stdout ?? '').trim() || 'unknown';
}
