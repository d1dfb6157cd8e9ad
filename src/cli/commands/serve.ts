/**
 * `quorate serve`: a registry until it is asked to stop; its URL is the first line of standard output, below
 * it stands the audit log of a micronode; its log goes to standard error.
 */
import type { Command } from 'commander';
import { loadConfig } from '../../server/config.ts';
import type { RunningServer } from '../../server/running.ts';
import {
  addConfigOptions,
  type ConfigOptions,
  readConfig,
  readSources,
} from '../config-options.ts';
import type { Context } from '../context.ts';
import { HeldLines } from '../held-lines.ts';

export function defineServe(command: Command, context: Context): void {
  addConfigOptions(command).action((_options: object, self: Command) =>
    serve(context, self.optsWithGlobals()),
  );
}

async function serve(context: Context, options: ConfigOptions): Promise<void> {
  const { io, globals, print, printJson } = context;
  const started = Promise.withResolvers<RunningServer>();
  // First of all: a signal that comes during the start waits for its end, and ends nothing.
  io.onHangup?.(() => void started.promise.then(reload));
  const config = await readConfig(options, io.env);
  const { startServer } = await import('../../server/start.ts');
  const { createLineOutput } = await import('../../server/audit-log/stdout-sink.ts');
  const lines = new HeldLines(createLineOutput());
  // SIGINT and SIGTERM stop it in order, and that is success.
  context.endOnInterrupt();
  try {
    const server = await startServer(config, {
      signal: io.interrupt,
      stdout: lines,
      // The flags of this start, the environment of this process, and its files as they are now.
      reload: async () => loadConfig(await readSources(options, io.env, { isAgain: true })),
    });
    const { url, metricsUrl } = server;
    await (globals.isJson ? printJson({ url, metrics_url: metricsUrl }) : print(url));
    started.resolve(server);
    lines.release();
    await server.stopped;
  } finally {
    lines.release();
  }
}

async function reload(server: RunningServer): Promise<void> {
  try {
    await server.reload();
  } catch {
    // The log of the server has told it, and the configuration before stays in force.
  }
}
