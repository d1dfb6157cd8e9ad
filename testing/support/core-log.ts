/** A log in memory for tests of `core`: entries as they were appended, the tree's nodes, and bundles of them. */
import type { BundleFile } from '../../src/core/bundle.ts';
import type { Appended, Chain } from '../../src/core/chain.ts';
import {
  type NodePlace,
  proveInclusion,
  type ReadNodes,
  rootAt,
} from '../../src/core/tlog/merkle.ts';
import type { NoteSignature } from '../../src/core/tlog/note.ts';
import { signedNote } from './core-checkpoint.ts';
import {
  ALICE,
  append,
  appendGenesis,
  BOB,
  DAVE,
  descriptorsMembers,
  governanceMembers,
  governanceOf,
  logKey,
  type PayloadMembers,
  put,
  supersedeMembers,
  type TestSigner,
} from './core-registry.ts';

export class TestLog {
  readonly appended: Appended[] = [];
  readonly #nodes = new Map<string, Uint8Array>();

  constructor(genesis: Appended = appendGenesis()) {
    this.#take(genesis);
  }

  get chain(): Chain {
    return this.at(this.appended.length - 1).chain;
  }

  at(version: number): Appended {
    const found = this.appended[version];
    if (found === undefined) throw new Error(`no version ${version}`);
    return found;
  }

  add(members: PayloadMembers, signers?: readonly TestSigner[]): this {
    this.#take(append(this.chain, members, signers));
    return this;
  }

  readonly read: ReadNodes = async (places) =>
    places.map((place) => {
      const hash = this.#nodes.get(nameOf(place));
      if (hash === undefined) throw new Error(`no node ${nameOf(place)}`);
      return hash;
    });

  async note(
    size = this.appended.length,
    options: { seed?: number; more?: (text: string) => readonly NoteSignature[] } = {},
  ): Promise<string> {
    return signedNote({ size, root: await rootAt(size, this.read) }, options);
  }

  /** Of these versions, in the checkpoint of `size` leaves. */
  async bundle(
    versions: readonly number[],
    { size = this.appended.length, note }: { size?: number; note?: string } = {},
  ): Promise<BundleFile> {
    const entries = versions.map(async (index) => ({
      ...this.at(index).entry,
      proof: await proveInclusion({ index, size }, this.read),
    }));
    return { checkpoint: note ?? (await this.note(size)), entries: await Promise.all(entries) };
  }

  #take(appended: Appended): void {
    this.appended.push(appended);
    for (const { hash, ...place } of appended.nodes) this.#nodes.set(nameOf(place), hash);
  }
}

/**
 * 0 genesis; 1 puts; 2 lets Dave in for Carol and changes the log key to seed 201; 3 and 4 put; 5
 * supersedes; 6 raises the threshold; 7 puts.
 */
export function makeTestLog(): TestLog {
  const log = new TestLog();
  const change = (id: string) => descriptorsMembers(log.chain.registry, [put(log.chain, id)]);
  const second = { version: 2, log_keys: [logKey(undefined, 201)] };
  log.add(change('a'));
  log.add(governanceMembers(log.chain, governanceOf([ALICE, BOB, DAVE], second)), [
    ALICE,
    BOB,
    DAVE,
  ]);
  log.add(change('b'), [ALICE, DAVE]).add(change('c'), [BOB, DAVE]);
  log.add(supersedeMembers(log.chain, [put(log.chain, 'd')]));
  const third = { ...second, version: 3, threshold: 3 };
  log.add(governanceMembers(log.chain, governanceOf([ALICE, BOB, DAVE], third)), [
    ALICE,
    BOB,
    DAVE,
  ]);
  log.add(change('e'), [ALICE, BOB, DAVE]);
  return log;
}

function nameOf({ level, index }: NodePlace): string {
  return `${level}/${index}`;
}
