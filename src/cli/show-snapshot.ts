/** Snapshots as text and JSON for people and programs: what a header says, escaped by whoever prints it. */
import type { JsonObject } from '../core/canonical.ts';
import { isSound, type ListedSnapshot } from '../server/snapshot/catalogue.ts';
import { headerJson, type SnapshotHeader } from '../server/snapshot/header.ts';
import { plural, relativeTime, table } from './text.ts';

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

export function showBytes(bytes: number): string {
  let [size, unit] = [bytes, 0];
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${UNITS[unit]}`;
}

export function showListed(listed: readonly ListedSnapshot[], now: number): string {
  const head = ['snapshot', 'version', 'entries from', 'size', 'database', 'made', ''];
  return table([
    head,
    ...listed.map((one) => {
      const { name, bytes } = one;
      if (!isSound(one))
        return [name, '', '', showBytes(bytes), '', '', `damaged: ${one.damage.message}`];
      const { version, oldest, createdAt, checkpoint } = one.header;
      const made = relativeTime(Date.parse(createdAt), now);
      const remark = checkpoint === null ? 'no checkpoint' : '';
      const database = showBytes(one.header.bytes);
      return [name, String(version), String(oldest), showBytes(bytes), database, made, remark];
    }),
  ]);
}

export function listedJson(one: ListedSnapshot): JsonObject {
  const { name, bytes } = one;
  return isSound(one)
    ? { name, file_bytes: bytes, id: one.id, damage: null, header: headerJson(one.header) }
    : { name, file_bytes: bytes, id: null, damage: one.damage.message, header: null };
}

export function headerRows(
  { id, header }: { readonly id: string; readonly header: SnapshotHeader },
  now: number,
): string[][] {
  const { oldest, program, schemaVersion } = header;
  return [
    ['snapshot', id],
    ['origin', header.origin],
    ['registry', header.registry],
    ['head', `version ${header.version}, ${header.entryHash}`],
    ...(oldest === 0 ? [] : [['oldest', `version ${oldest}: payloads before it were pruned`]]),
    ['set', `${plural(header.setSize, 'descriptor')}, set root ${header.setRoot}`],
    ['proposals', `${header.proposals} in flight`],
    [
      'made',
      `${header.createdAt}, ${relativeTime(Date.parse(header.createdAt), now)}, by quorate ${program} (schema ${schemaVersion})`,
    ],
    ['database', showBytes(header.bytes)],
  ];
}
