/** `quorate head`: the newest entry, after everything up to it was verified. */
import type { Command } from 'commander';
import type { VerifiedHead } from '../../client/client.ts';
import type { Context } from '../context.ts';
import { verified } from '../failure.ts';
import { table } from '../text.ts';

export function defineHead(command: Command, context: Context): void {
  command.action(() => showHead(context));
}

async function showHead(context: Context): Promise<void> {
  const client = await context.client();
  const head = await verified(client.head());
  if (context.globals.isJson) return context.printJson(headJson(head));
  const { governance } = head;
  await context.print(
    table([
      ['origin', head.origin],
      ['registry', head.registry],
      ['version', String(head.version)],
      ['entry hash', head.entryHash],
      ['committed at', head.committedAt],
      ['set root', head.setRoot],
      ['descriptors', String(head.setSize)],
      [
        'governance',
        `version ${governance.version}, ${governance.threshold} of ${governance.signers.length}`,
      ],
    ]),
  );
}

export function headJson(head: VerifiedHead): object {
  return {
    origin: head.origin,
    registry: head.registry,
    version: head.version,
    entry_hash: head.entryHash,
    committed_at: head.committedAt,
    set_root: head.setRoot,
    set_size: head.setSize,
    governance_version: head.governance.version,
  };
}
