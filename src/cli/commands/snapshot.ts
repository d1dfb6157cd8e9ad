/** `quorate snapshot`: copies of a registry in one file each, made, listed, verified and restored. */
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { explained } from '../failure.ts';
import { SOCKET } from '../operator-act.ts';
import { DEFAULT_PLACE, PLACE, WHICH } from '../snapshot-source.ts';
import { type CreateOptions, createSnapshot } from './snapshot-create.ts';
import { listPlace } from './snapshot-list.ts';
import { type RestoreFlags, restore } from './snapshot-restore.ts';
import { type VerifyFlags, verifySnapshot } from './snapshot-verify.ts';

export function defineSnapshot(command: Command, context: Context): void {
  const place = `where to look for an id: ${PLACE}`;
  const id = 'the id it must have, for a file whose name does not tell it';
  command
    .command('create')
    .summary('make one of a running server, verified')
    .description(
      'Make a snapshot of a running server while commits go on: copied, packed, read again and verified before it has a name, in `snapshots` of its data directory.',
    )
    .option('--socket <path>', SOCKET)
    .option('--reason <text>', 'why; for the audit log')
    .option('--to <place>', `copy it to a .qsnap file, ${PLACE} too, and read it again there`)
    .action((options: CreateOptions) => createSnapshot(context, options));
  command
    .command('list')
    .summary('list what is in a place')
    .description(
      'List the snapshots in a place by their headers and sizes, the newest first. Whether one is whole, `snapshot verify` shows.',
    )
    .argument('[place]', PLACE, DEFAULT_PLACE)
    .action((where: string) => explained(listPlace(context, where), []));
  command
    .command('verify')
    .summary('check everything in one, without a server')
    .description(
      'Unpack a snapshot into a temporary directory and check everything in it: its bytes, every entry, row and proposal, the checkpoint, and every approval. Opens no connection but to the place.',
    )
    .argument('<snapshot>', WHICH)
    .option('--in <place>', place, DEFAULT_PLACE)
    .option('--id <hash>', id)
    .option(
      '--scratch <dir>',
      'where there is room for the database; default: the temporary directory',
    )
    .option('--quick', 'of approvals only those of governances and after the checkpoint')
    .action((which: string, flags: VerifyFlags) =>
      explained(verifySnapshot(context, which, flags), ['fork', 'pruned']),
    );
  defineRestore(command, context, { place, id });
}

function defineRestore(
  command: Command,
  context: Context,
  { place, id }: { readonly place: string; readonly id: string },
): void {
  command
    .command('restore')
    .summary('make one the data of a new server')
    .description(
      'Restore a snapshot into an empty data directory: verified there, and held against the newest checkpoint that others have seen. --registry pins which registry it must be.',
    )
    .argument('<snapshot>', WHICH)
    .requiredOption('--data <dir>', 'the data directory: empty, or not there yet')
    .option('--in <place>', place, DEFAULT_PLACE)
    .option('--id <hash>', id)
    .option('--any-registry', 'without --registry: take whichever registry it is')
    .option('--high-water <file>', 'compare with this high-water mark')
    .option('--checkpoint <file...>', 'compare with checkpoints that were noted elsewhere')
    .option('--from <url>', 'compare with what a replica or mirror serves')
    .option('--catch-up <url>', 'append what a replica or mirror has more, each entry verified')
    .option('--accept-rollback', 'restore it though others have seen more, or nobody can be asked')
    .action((which: string, flags: RestoreFlags) =>
      explained(restore(context, which, flags), ['fork']),
    );
}
