/**
 * `quorate witness-info`: what others need to watch this log: its keys and its place in a log list for
 * who runs a witness, a policy for who reads.
 */
import type { Command } from 'commander';
import { encodeLogList } from '../../core/tlog/log-list.ts';
import { encodePolicy } from '../../core/tlog/policy-text.ts';
import { parseCount } from '../arguments.ts';
import { addConfigOptions, type ConfigOptions, readConfig } from '../config-options.ts';
import type { Context } from '../context.ts';
import { verified } from '../failure.ts';

interface InfoOptions {
  readonly contact?: string;
  readonly requestsPerDay?: number;
  readonly policy?: boolean;
}

export function defineWitnessInfo(command: Command, context: Context): void {
  addConfigOptions(command)
    .option('--contact <text>', 'how a witness operator reaches you')
    .option(
      '--requests-per-day <count>',
      'requests to each witness; default: those of recosign_interval, and as many again for commits',
      parseCount,
    )
    .option('--policy', 'a policy file for readers instead')
    .action((_options: object, self: Command) =>
      printInfo(context, self.optsWithGlobals<InfoOptions & ConfigOptions>()),
    );
}

async function printInfo(context: Context, options: InfoOptions & ConfigOptions): Promise<void> {
  const { io, globals, client, print, printJson, say } = context;
  const { cosigners } = await readConfig(options as ConfigOptions, io.env);
  const { origin, governance } = await verified((await client()).head());
  if (options.policy === true) {
    const { loadPolicyParts } = await import('../../server/cosigners.ts');
    const { policy, clock } = await loadPolicyParts(cosigners, origin);
    const text = encodePolicy({ logs: governance.log_keys, url: globals.url, policy, clock });
    return globals.isJson ? printJson({ policy: text }) : print(text.trimEnd());
  }
  const perDay = options.requestsPerDay ?? Math.ceil((2 * 24 * 3_600_000) / cosigners.recosignMs);
  const list = encodeLogList(
    governance.log_keys.map((vkey) => ({
      vkey,
      origin,
      requestsPerDay: perDay,
      contact: options.contact ?? null,
    })),
  );
  if (globals.isJson)
    return printJson({
      origin,
      log_keys: governance.log_keys,
      requests_per_day: perDay,
      contact: options.contact ?? null,
      log_list: list,
    });
  await print(list.trimEnd());
  await say(
    `origin ${origin}: send this to who runs a witness, and put the line of their witness, with its url, into the file that witness_policy names`,
  );
}
