/**
 * The vectors of erased entries, made from core: a log in which two payloads are erased, under two
 * governances. Deterministic: fixed seeds and times. Run it to print them.
 */
import { decodeUtf8 } from '../../src/core/bytes.ts';
import { canonicalText } from '../../src/core/canonical.ts';
import type { Appended, Chain } from '../../src/core/chain.ts';
import { formatHash } from '../../src/core/hash.ts';
import {
  ALICE,
  append,
  appendGenesis,
  BOB,
  CAROL,
  DAVE,
  descriptorsMembers,
  eraseMembers,
  governanceMembers,
  governanceOf,
  ORIGIN,
  type PayloadMembers,
  put,
  remove,
} from './core-registry.ts';

/** Ada stands in the set at versions 1 and 2, and again, as somebody else, from 7 on. */
export function erasedLog(): readonly Appended[] {
  const log: Appended[] = [appendGenesis()];
  const at = (version: number): Chain => log[version]!.chain;
  const head = (): Chain => log.at(-1)!.chain;
  const change = (...changes: PayloadMembers[]): PayloadMembers =>
    descriptorsMembers(head().registry, changes);
  const born = { born: '1815-12-10' };
  log.push(append(head(), change(put(head(), 'ada', born), put(head(), 'billing', { port: 1 }))));
  const moved = { ...born, street: 'St James’s Square' };
  log.push(append(head(), change(put(head(), 'ada', moved), put(head(), 'search', { port: 2 }))));
  log.push(append(head(), change(remove(head(), 'ada'), put(head(), 'billing', { port: 3 }))));
  log.push(append(head(), eraseMembers(at(1), { note: 'as she asked' }), [ALICE, CAROL]));
  const next = governanceOf([ALICE, BOB, DAVE], { version: 2 });
  log.push(append(head(), governanceMembers(head(), next), [ALICE, BOB, DAVE]));
  log.push(append(head(), eraseMembers(at(2), { reason: 'LegalOrder' }), [BOB, DAVE]));
  log.push(append(head(), change(put(head(), 'ada', {}), remove(head(), 'search')), [ALICE, DAVE]));
  return log;
}

export function eraseVectors(): object {
  const log = erasedLog();
  return {
    note: 'A log in which the payloads of versions 1 and 2 are erased, or all below oldest pruned. Strings are the exact canonical bytes.',
    origin: ORIGIN,
    registry: log.at(-1)?.chain.registry,
    erased: [
      { version: 1, erased_by: 4 },
      { version: 2, erased_by: 6 },
    ],
    oldest: 6,
    set_hashes: [2, 6].map((version) => ({ version, items: hashesAt(log, version) })),
    entries: log.map(({ chain, entry }) => ({
      version: chain.version,
      entry_hash: chain.entryHash,
      leaf: decodeUtf8(entry.leaf),
      payload: decodeUtf8(entry.payload),
      approvals: decodeUtf8(entry.approvals),
    })),
  };
}

/** As they are served, by path. */
function hashesAt(log: readonly Appended[], version: number): readonly object[] {
  return [...(log[version]?.chain.set.leaves() ?? [])].map(({ path, valueHash }) => ({
    path: formatHash(path),
    value_hash: formatHash(valueHash),
  }));
}

/** Readable, and the same bytes each time. */
export function eraseVectorsText(): string {
  return `${JSON.stringify(JSON.parse(canonicalText(eraseVectors())), null, 2)}\n`;
}

if (import.meta.main) process.stdout.write(eraseVectorsText());
