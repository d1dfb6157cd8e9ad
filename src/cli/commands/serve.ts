/** `quorate serve`: a registry until it is asked to stop; its URL on standard output, its log on standard error. */
import type { Command } from 'commander';
import { loadConfig } from '../../server/config.ts';
import type { RunningServer } from '../../server/running.ts';
import { addConfigOptions, type ConfigOptions, readSources } from '../config-options.ts';
import type { Context } from '../context.ts';

export function defineServe(command: Command, context: Context): void {
  addConfigOptions(command).action((_options: object, self: Command) =>
    serve(context, self.optsWithGlobals()),
  );
}

async function serve(context: Context, options: ConfigOptions): Promise<void> {
  const { io, globals, print, printJson } = context;
  const started = Promise.withResolvers<Reloading>();
  // First of all: a signal that comes during the start waits for its end, and ends nothing.
  io.onHangup?.(() => void started.promise.then(reload));
  const load = async () => loadConfig(await readSources(options, io.env));
  const config = await load();
  const { startServer } = await import('../../server/start.ts');
  // SIGINT and SIGTERM stop it in order, and that is success.
  context.endOnInterrupt();
  const startOptions = { signal: io.interrupt, reload: load };
  const server = await startServer(config, startOptions);
  const { url, metricsUrl } = server;
  await (globals.isJson ? printJson({ url, metrics_url: metricsUrl }) : print(url));
  started.resolve(server);
  await server.stopped;
}

type Reloading = RunningServer & { reload?(): Promise<readonly string[]> };

async function reload(server: Reloading): Promise<void> {
  try {
    await server.reload?.();
  } catch {
    // The log of the server has told it, and the configuration before stays in force.
  }
}
