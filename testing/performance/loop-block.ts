/** Preloaded into a server that is measured: at SIGUSR2 its event loop is blocked for a tenth of a second. */
import { isMainThread } from 'node:worker_threads';

const BLOCKED_MS = 100;

// Its threads load this too.
if (isMainThread)
  process.on('SIGUSR2', () => {
    const end = performance.now() + BLOCKED_MS;
    while (performance.now() < end);
  });
