/**
 * The end of a process that does not know what is on its disk. It must not close the database: an
 * orderly exit would write more, and may turn a write that was answered as unknown into a lost one.
 */
import type { RegistryError } from '../core/error.ts';
import type { Log } from '../telemetry/log.ts';

/** Time for the answers `outcome_unknown` to leave the sockets. */
const FLUSH_MS = 200;

export interface FatalOptions {
  readonly log: Log;
  /** Ends the process without running anything more of it. */
  readonly kill: () => void;
}

/** Store and registry may both report; the first one counts. */
export function createFatal({ log, kill }: FatalOptions): (error: RegistryError) => void {
  let isDying = false;
  return (error) => {
    if (isDying) return;
    isDying = true;
    log.error('ending at once: what the last write did is unknown, a restart finds out', { error });
    setTimeout(kill, FLUSH_MS);
  };
}

/** The first process of a container is spared by signals of its own, SIGKILL too: it ends by a fault instead. */
export function killProcess(): void {
  process.kill(process.pid, 'SIGKILL');
  process.abort();
}
