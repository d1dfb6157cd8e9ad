/** `quorate snapshot list`: what a place has, by headers and sizes. */
import { existsSync } from 'node:fs';
import { escapeText, RegistryError } from '../../core/error.ts';
import { isSound, listSnapshots } from '../../server/snapshot/catalogue.ts';
import { isS3Address } from '../../server/snapshot/s3/address.ts';
import type { Context } from '../context.ts';
import { listedJson, showListed } from '../show-snapshot.ts';
import { DEFAULT_PLACE, openPlace } from '../snapshot-source.ts';

/** Throws `not_found` for a place that is not there, and `storage_damaged` when all is listed, where one is not what it should be. */
export async function listPlace(context: Context, where: string): Promise<void> {
  const { globals, io, print, printJson, say } = context;
  // The first snapshot makes it: none yet is no error. But a slip must not look like a backup that is empty.
  if (!isS3Address(where) && where !== DEFAULT_PLACE && !existsSync(where))
    throw new RegistryError(
      'not_found',
      `expected the name of a place that is there, got no snapshots: there is no directory ${where}`,
    );
  const listed = await listSnapshots(await openPlace(context, where));
  if (globals.isJson) for (const one of listed) await printJson(listedJson(one));
  else if (listed.length > 0)
    await print(showListed(listed, io.now()).split('\n').map(escapeText).join('\n'));
  else await say(`no snapshots in ${escapeText(where)}`);
  const broken = listed.filter((one) => !isSound(one)).length;
  if (broken > 0)
    throw new RegistryError(
      'storage_damaged',
      `expected snapshots alone under such names in ${where}, ${broken} of ${listed.length} are damaged: take other copies of those, and make a new one where there is none`,
    );
}
