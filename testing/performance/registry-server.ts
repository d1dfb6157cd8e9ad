/**
 * A registry as `quorate serve` runs it, on free ports, as a program of its own: `macronode DIRECTORY LOG_KEY`
 * or `micronode DIRECTORY LOG_KEY`. Prints its URL; stops when its standard input ends.
 */
import { loadConfig } from '../../src/server/config.ts';
import { startServer } from '../../src/server/start.ts';

const [profile, data, logKey] = process.argv.slice(2);
const flags = {
  profile,
  // A micronode has none; its audit log goes to standard output.
  ...(profile === 'macronode' && { data }),
  log_key: logKey,
  listen: '127.0.0.1:0',
  metrics_listen: 'off',
  log_level: 'error',
  // Counted as always, never reached: one address is the whole load here.
  max_reads_per_minute: '1000000000',
  max_writes_per_minute: '1000000000',
};
const server = await startServer(loadConfig({ flags }));
console.log(server.url);
process.stdin.on('end', () => void server.stop()).resume();
