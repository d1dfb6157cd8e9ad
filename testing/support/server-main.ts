/** A server as a process of its own, for tests that kill it: data directory and log key as arguments, URL on standard output. */
import { flushCompileCache } from 'node:module';
import { loadConfig } from '../../src/server/config.ts';
import { startServer } from '../../src/server/start.ts';

const [data, logKey] = process.argv.slice(2);
const flags = {
  data,
  log_key: logKey,
  listen: '127.0.0.1:0',
  metrics_listen: 'off',
  log_level: 'warn',
  max_writes_per_minute: '1000000',
  // The machine is shared: that it is busy refuses no write here.
  shed_loop_after: '10m',
  shed_storage_after: '10m',
};
const server = await startServer(loadConfig({ flags }));
process.once('SIGTERM', () => void server.stop());
process.stdout.write(`${server.url}\n`);
// A process that is killed never writes it: the next one starts in half the time.
flushCompileCache();
