/** `quorate bench verify`: how fast this machine verifies the entries of a registry. */
import type { Command } from 'commander';
import { Option } from 'commander';
import { SignaturePool } from '../../server/signature-pool.ts';
import { parseCount } from '../arguments.ts';
import type { Context } from '../context.ts';
import { verified } from '../failure.ts';
import { createFullVerifier } from '../full-verifier.ts';
import { createTransport } from '../http-log.ts';
import { createBenchClock } from './clock.ts';
import { readNewestEntries } from './newest-entries.ts';
import type { BenchResult } from './result.ts';
import { runBench, withBar } from './run.ts';
import { showHeading, showHistogram, showLatencies } from './show.ts';
import { runVerify, type VerifyResult } from './verify-load.ts';

interface VerifyFlags {
  readonly entries: number;
}

interface VerifyLoads {
  readonly verify: VerifyResult;
}

export function defineVerify(command: Command, context: Context): void {
  command
    .command('verify')
    .description('Verify the newest entries, and measure what it costs this machine.')
    .addOption(new Option('--entries <count>', 'how many').argParser(parseCount).default(256))
    .action((flags: VerifyFlags) => benchVerify(context, flags));
}

async function benchVerify(context: Context, { entries: count }: VerifyFlags): Promise<void> {
  await runBench<VerifyLoads>(context, {
    bench: 'verify',
    config: { entries: count },
    run: async (signal) => {
      const transport = createTransport(context);
      const newest = await withBar(context, 'entries read', (onProgress) =>
        readNewestEntries(transport, { count, signal, onProgress }),
      );
      await using pool = new SignaturePool();
      const verifier = createFullVerifier();
      const parts = { clock: createBenchClock(), verifier, signal };
      const verify = await withBar(context, 'entries verified', (onProgress) =>
        verified(
          runVerify({
            ...newest,
            ...parts,
            verifySignatures: (batch) => pool.verify(batch),
            onProgress,
          }),
        ),
      );
      return { verify };
    },
    show,
    failures: () => [],
  });
}

function show({ loads: { verify }, ...result }: BenchResult<VerifyLoads>): string {
  const { entries, signatures, payload_bytes, entry_us, signature_us } = verify;
  return [
    showHeading(result),
    `verify: ${entries} entries with ${signatures} signatures and ${payload_bytes} bytes of payloads`,
    `  one by one: ${verify.entries_per_second} entries a second; as an audit does: ${verify.audit_entries_per_second}`,
    showLatencies([
      ['entry', entry_us],
      ['signature', signature_us],
    ]),
    showHistogram('entry', entry_us),
  ].join('\n');
}
