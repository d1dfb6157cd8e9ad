/** Starts of the program as an operator has it, run by `quorate serve`. */
import type { Bench } from './bench.ts';
import { serveInstalled } from './installed-server.ts';
import { installProgram } from './program.ts';
import { type LongStartsPlan, openStartsOver } from './starts-long.ts';

/** Building takes half a minute: one bench is enough for all rounds, since each start is a new process anyway. */
export function openInstalledStarts(plan: LongStartsPlan, name: string): Promise<Bench> {
  return openStartsOver(plan, name, async (stack) => {
    const program = await installProgram(stack);
    // With no more settings than an operator must give.
    return (data) => serveInstalled(program, data);
  });
}
