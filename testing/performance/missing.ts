/** What this machine lacks for measuring, and what that means. */
import { hasTool, isPinned, TOOLS, type Tool } from './machine.ts';

const WITHOUT: Readonly<Record<Tool, string>> = {
  wrk: 'autocannon makes the load, and is the limit for cheap requests',
  nginx: 'nothing is held against nginx, and most reads are not judged',
  taskset: 'nothing is pinned to a core',
};

/** A line each. */
export function findMissing(): readonly string[] {
  const missing = TOOLS.filter((tool) => !hasTool(tool)).map(
    (tool) => `${tool} is not installed: ${WITHOUT[tool]}`,
  );
  return isPinned ? missing : [...missing, 'servers and load share their cores'];
}
