/**
 * Preloaded into a server that is measured: at SIGUSR2 it prints by how many milliseconds its event loop was
 * late at most since it was asked last. Exact to about a tenth; the watch costs a wake-up each millisecond.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

const EVERY_MS = 1;

// Its threads load this too, and their loops delay nobody.
if (isMainThread) watch();

function watch(): void {
  const delays = monitorEventLoopDelay({ resolution: EVERY_MS });
  delays.enable();
  process.on('SIGUSR2', () => {
    // What is recorded is the time between two turns.
    const lateMs = delays.max / 1e6 - EVERY_MS;
    delays.reset();
    console.log(`late ${Math.max(0.001, lateMs).toFixed(3)}`);
  });
}
