/** A server as a process of its own, for tests that kill it: data directory as argument, URL on standard output. */
import { loadConfig } from '../../src/server/config.ts';
import { runServer } from '../../src/server/run.ts';

const [data] = process.argv.slice(2);
const flags = {
  data,
  listen: '127.0.0.1:0',
  metrics_listen: 'off',
  log_level: 'warn',
  max_writes_per_minute: '1000000',
};
process.exitCode = await runServer(loadConfig({ flags }), {
  onStarted: ({ url }) => void process.stdout.write(`${url}\n`),
});
