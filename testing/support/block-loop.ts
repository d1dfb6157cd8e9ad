/** Preloaded into a server: at SIGUSR2 its event loop stands still for a second, and says so. */
const BLOCKED_MS = 1_000;

process.on('SIGUSR2', () => {
  const end = performance.now() + BLOCKED_MS;
  while (performance.now() < end);
  process.stderr.write(`blocked for ${BLOCKED_MS} ms\n`);
});
