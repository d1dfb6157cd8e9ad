/** `quorate serve`: a registry until it is asked to stop; its URL on standard output, its log on standard error. */
import type { Command } from 'commander';
import { loadConfig } from '../../server/config.ts';
import { addConfigOptions, type ConfigOptions, readSources } from '../config-options.ts';
import type { Context } from '../context.ts';

export function defineServe(command: Command, context: Context): void {
  addConfigOptions(command).action((_options: object, self: Command) =>
    serve(context, self.optsWithGlobals()),
  );
}

async function serve(context: Context, options: ConfigOptions): Promise<void> {
  const { io, globals, print, printJson } = context;
  const config = loadConfig(await readSources(options, io.env));
  const { startServer } = await import('../../server/start.ts');
  // SIGINT and SIGTERM stop it in order, and that is success.
  context.endOnInterrupt();
  const server = await startServer(config, { signal: io.interrupt });
  const { url, metricsUrl } = server;
  await (globals.isJson ? printJson({ url, metrics_url: metricsUrl }) : print(url));
  await server.stopped;
}
