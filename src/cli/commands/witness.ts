/** `quorate witness`: watches logs, of this program or any other, and cosigns only what adds to what it saw. */
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { type Address, parseAddress } from '../../server/config-values.ts';
import { type KeySource, parseKeySources } from '../../server/key-source.ts';
import type { Context } from '../context.ts';
import { usageError } from '../failure.ts';
import { readVerifierKey } from '../signer-file.ts';

const DEFAULT_LISTEN = '127.0.0.1:7380';

interface WitnessCommandOptions {
  readonly key: KeySource;
  readonly name: string;
  readonly db: string;
  readonly listen?: Address;
  readonly log?: readonly string[];
  readonly logList?: readonly string[];
  readonly prefix?: string;
}

export function defineWitness(command: Command, context: Context): void {
  command
    .requiredOption(
      '--key <file>',
      'the witness key, as `keygen --cosigner` writes it, or exec:COMMAND',
      parseKey,
    )
    .requiredOption('--name <name>', 'of the witness, such as witness.example.com/w1')
    .requiredOption('--db <file>', 'what it must never forget; made when it is missing')
    .option('--listen <host:port>', `where it listens (${DEFAULT_LISTEN})`, parseListen)
    .option('--log <vkey|file...>', 'a log to watch')
    .option('--log-list <file...>', 'logs to watch, in the format logs/v0')
    .option('--prefix <path>', 'before every path, such as /witness')
    .action((options: WitnessCommandOptions) => witness(context, options));
}

async function witness(context: Context, options: WitnessCommandOptions): Promise<void> {
  const { io, globals, print, printJson, say } = context;
  const { key, name, db, log = [], logList = [], prefix = '' } = options;
  const { listen = parseListen(DEFAULT_LISTEN) } = options;
  if (log.length + logList.length === 0) throw usageError('expected --log or --log-list');
  const { startWitness } = await import('../../server/witness-server.ts');
  // SIGINT and SIGTERM stop it in order, and that is success.
  context.endOnInterrupt();
  const running = await startWitness({
    key,
    name,
    dbPath: db,
    listen,
    logs: await Promise.all(log.map((given) => readVerifierKey(io, given))),
    logLists: logList,
    prefix,
    signal: io.interrupt,
  });
  const { url, vkey } = running;
  await (globals.isJson ? printJson({ url, vkey }) : print(url));
  await say(`in a policy: witness ${name} ${vkey} ${url}`);
  await running.stopped;
}

function parseKey(text: string): KeySource {
  const [source, ...more] = parseKeySources(text) ?? [];
  if (source === undefined || more.length > 0)
    throw new InvalidArgumentError('Expected the path of one key, or exec:COMMAND.');
  return source;
}

function parseListen(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new InvalidArgumentError('Expected host:port.');
  return address;
}
