/**
 * A registry as `quorate serve` runs it, on free ports, as a program of its own: `macronode DIRECTORY LOG_KEY`
 * or `micronode DIRECTORY LOG_KEY`. Prints the URL of its metrics, then its own; stops when its standard
 * input ends, or by SIGTERM. A fourth argument plants a slowdown, for the gate to be proved on: `planted.ts`. A fifth is an
 * object of settings that differ from those below.
 */
import { flushCompileCache } from 'node:module';
import { loadConfig } from '../../src/server/config.ts';
import { startServer } from '../../src/server/start.ts';
import { parsePlan, plant } from './planted.ts';
import { SERVICE_SETTINGS } from './service-flags.ts';

const [profile, data, logKey, planted, settings = '{}'] = process.argv.slice(2);
if (planted !== undefined) plant(parsePlan(planted));
const flags = {
  profile,
  // A micronode has none; its audit log goes to standard output. The ballast is written once in the life of a
  // directory, five seconds in: here that would be in the middle of what is measured.
  ...(profile === 'macronode' && { data, ballast: '0B' }),
  log_key: logKey,
  ...SERVICE_SETTINGS,
  ...(JSON.parse(settings) as Readonly<Record<string, string>>),
};
const server = await startServer(loadConfig({ flags }));
console.log(`metrics ${server.metricsUrl}`);
console.log(server.url);
flushCompileCache();
const stop = (): void => {
  process.off('SIGTERM', stop);
  process.stdin.off('end', stop).destroy();
  void server.stop();
};
process.on('SIGTERM', stop);
process.stdin.on('end', stop).resume();
