/** `quorate snapshot list`: what a place has, by headers and sizes. */
import { existsSync } from 'node:fs';
import { escapeText } from '../../core/error.ts';
import { isSound, listSnapshots } from '../../server/snapshot/catalogue.ts';
import { isS3Address } from '../../server/snapshot/s3/address.ts';
import type { Context } from '../context.ts';
import { listedJson, showListed } from '../show-snapshot.ts';
import { DEFAULT_PLACE, openPlace } from '../snapshot-source.ts';

export async function listPlace(context: Context, where: string): Promise<void> {
  const { globals, io, print, printJson, say } = context;
  // The first snapshot makes it: none yet is no error. But a slip must not look like a backup that is empty.
  if (!isS3Address(where) && where !== DEFAULT_PLACE && !existsSync(where))
    return say(`no snapshots: there is no directory ${escapeText(where)}`);
  const listed = await listSnapshots(await openPlace(context, where));
  if (globals.isJson) {
    for (const one of listed) await printJson(listedJson(one));
    return;
  }
  if (listed.length === 0) return say(`no snapshots in ${escapeText(where)}`);
  await print(showListed(listed, io.now()).split('\n').map(escapeText).join('\n'));
  const broken = listed.filter((one) => !isSound(one)).length;
  if (broken > 0) await say(`${broken} of ${listed.length} are damaged`);
}
