/**
 * `quorate snapshot restore`: a new data directory out of a snapshot that is of the registry that was meant,
 * whole, and as new as what others have seen; or it says how far behind it is.
 */
import { escapeText, RegistryError } from '../../core/error.ts';
import { readSignedCheckpoint } from '../../core/tlog/note-signatures.ts';
import { parsePolicy } from '../../core/tlog/policy.ts';
import { missingEntries, proveIn } from '../../server/snapshot/compare.ts';
import { headerJson } from '../../server/snapshot/header.ts';
import { restoreSnapshot } from '../../server/snapshot/restore.ts';
import type { UnpackedSnapshot } from '../../server/snapshot/unpack-verified.ts';
import { postToWitness } from '../../server/witness-post.ts';
import { createAuditParts } from '../audit-parts.ts';
import type { Context } from '../context.ts';
import { usageError, verified } from '../failure.ts';
import { readInput } from '../files.ts';
import { createFullVerifier } from '../full-verifier.ts';
import { createTransport } from '../http-log.ts';
import { type KnownCheckpoint, type KnownOptions, knownCheckpoints } from '../known-checkpoints.ts';
import { headerRows } from '../show-snapshot.ts';
import { catchUpFrom } from '../snapshot-catch-up.ts';
import { openSource, type SourceFlags } from '../snapshot-source.ts';
import { plural, relativeTime, table } from '../text.ts';
import { showUnpacking, untilInterrupted } from '../unpacking.ts';
import { witnessedSizes } from '../witnessed-size.ts';

export interface RestoreFlags extends KnownOptions, SourceFlags {
  readonly data: string;
  readonly anyRegistry?: boolean;
  readonly catchUp?: string;
  readonly acceptRollback?: boolean;
}

/** Somebody who has seen more, and how many entries more. */
interface Ahead {
  readonly seenBy: string;
  readonly entries: number;
}

export async function restore(context: Context, which: string, flags: RestoreFlags): Promise<void> {
  const { globals, io } = context;
  const { registry } = globals;
  if (registry === undefined && flags.anyRegistry !== true)
    throw usageError(
      'expected --registry with the genesis hash of the registry that is meant, or --any-registry',
    );
  const { from = flags.catchUp } = flags;
  const known = await knownCheckpoints(
    context,
    { ...flags, ...(from !== undefined && { from }) },
    registry,
  );
  if (known.length === 0 && globals.witnessPolicy === undefined && flags.acceptRollback !== true)
    throw nobodyKnows(known);
  const judging = new Judging(context, flags, known);
  const { id, header } = await untilInterrupted(context, async () => {
    const { chunks, wanted } = await openSource(context, which, flags);
    return verified(
      showUnpacking(context, (onProgress) =>
        restoreSnapshot(chunks, {
          dataDir: flags.data,
          wanted,
          registry,
          now: io.now,
          onProgress,
          signal: io.interrupt,
          judge: (snapshot) => judging.judge(snapshot),
        }),
      ),
    );
  });
  const { appended, ahead } = judging;
  const version = header.version + appended;
  if (globals.isJson)
    return context.printJson({
      id,
      data: flags.data,
      header: headerJson(header),
      version,
      appended,
      compared_with: judging.comparedWith,
      behind: ahead?.entries ?? 0,
    });
  const rows = [
    ...headerRows({ id, header }, io.now()),
    ['appended', plural(appended, 'entry', 'entries')],
  ];
  rows.push(['compared with', judging.comparedWith.join(', ') || 'nobody']);
  await context.print(
    [
      context.style('good', `restored to version ${version} in ${escapeText(flags.data)}`),
      escapeLines(table(rows)),
    ].join('\n'),
  );
  await context.say(NEXT);
}

function nobodyKnows(known: readonly KnownCheckpoint[]): Error {
  const own = known.length > 0 ? ' but this user, who may have looked before it went on' : '';
  return usageError(
    `expected somebody who knows how far the log went: --high-water, --checkpoint, --from, --catch-up or --witness-policy, got nobody${own}; --accept-rollback restores it without`,
  );
}

const NEXT =
  'next: put the log key and the configuration in place, which no snapshot holds, and start the server; clients go on from what they trust';

class Judging {
  readonly #context: Context;
  readonly #flags: RestoreFlags;
  readonly #known: readonly KnownCheckpoint[];
  readonly #witnesses: string[] = [];
  appended = 0;
  /** Who has seen more than what is restored. */
  ahead: Ahead | undefined;

  constructor(context: Context, flags: RestoreFlags, known: readonly KnownCheckpoint[]) {
    this.#context = context;
    this.#flags = flags;
    this.#known = known;
  }

  get comparedWith(): readonly string[] {
    return [...this.#known.map(({ seenBy }) => seenBy), ...this.#witnesses];
  }

  /** Whether somebody was asked who was named for it. */
  get #isVouched(): boolean {
    return this.#witnesses.length > 0 || this.#known.some(({ isOwn }) => !isOwn);
  }

  /** Throws `rollback`, `fork`, or what asking throws. */
  async judge(snapshot: UnpackedSnapshot): Promise<void> {
    this.ahead = await this.#newest(snapshot);
    if (this.ahead !== undefined && this.#flags.catchUp !== undefined) {
      const { entries, seenBy } = this.ahead;
      this.appended = await this.#catchUp(snapshot.path, this.#flags.catchUp);
      // A witness tells no root to compare with: then the service's checkpoint stands for it.
      const left = await this.#compare(snapshot.path);
      this.ahead =
        left ??
        (entries > this.appended ? { seenBy, entries: entries - this.appended } : undefined);
    }
    if (this.ahead === undefined) {
      // A policy without witnesses asks nobody, and trusted state does not say how far the log went since.
      if (!this.#isVouched && this.#flags.acceptRollback !== true) throw nobodyKnows(this.#known);
      return;
    }
    const message = rollbackText(snapshot, this.ahead, this.appended, this.#context.io.now());
    if (this.#flags.acceptRollback !== true)
      throw new RegistryError('rollback', message, { details: { behind: this.ahead.entries } });
    await this.#context.say(`WARNING: ${escapeText(message)}`);
    await this.#context.say(
      'WARNING: it is restored because of --accept-rollback. The high-water mark and the witnesses still know better, so a server that asks them refuses to write.',
    );
  }

  async #newest(snapshot: UnpackedSnapshot): Promise<Ahead | undefined> {
    const [known, witnessed] = [
      await this.#compare(snapshot.path),
      await this.#askWitnesses(snapshot),
    ];
    return (known?.entries ?? 0) >= (witnessed?.entries ?? 0) ? known : witnessed;
  }

  /** Of all that are known the one that has seen most. */
  async #compare(path: string): Promise<Ahead | undefined> {
    let ahead: Ahead | undefined;
    const verifier = createFullVerifier();
    for (const { seenBy, checkpoint } of this.#known) {
      const entries = await missingEntries(path, { seenBy, checkpoint, verifier });
      if (entries > (ahead?.entries ?? 0)) ahead = { seenBy, entries };
    }
    return ahead;
  }

  async #askWitnesses({ header, path }: UnpackedSnapshot): Promise<Ahead | undefined> {
    const { io, globals } = this.#context;
    const { witnessPolicy } = globals;
    if (witnessPolicy === undefined) return undefined;
    if (header.checkpoint === null)
      throw new RegistryError(
        'not_found',
        'expected a checkpoint in the snapshot to ask the witnesses about, got none',
      );
    const size = header.version + 1;
    const sizes = await witnessedSizes({
      policy: parsePolicy(await readInput(io, witnessPolicy)),
      checkpoint: readSignedCheckpoint(header.checkpoint),
      size,
      prove: (range) => proveIn(path, range),
      post: postToWitness,
      verifier: createFullVerifier(),
      now: io.now,
      signal: io.interrupt,
    });
    let ahead: Ahead | undefined;
    for (const { name, size: seen = 0 } of sizes) {
      this.#witnesses.push(`the witness ${name}`);
      const entries = seen - size;
      if (entries > (ahead?.entries ?? 0)) ahead = { seenBy: `the witness ${name}`, entries };
    }
    return ahead;
  }

  async #catchUp(path: string, url: string): Promise<number> {
    const { io, globals, say, progress } = this.#context;
    const bar = progress('entries appended');
    try {
      await using parts = createAuditParts(this.#context);
      return await catchUpFrom({
        path,
        transport: createTransport({ io, globals: { ...globals, url }, say }),
        parts,
        signal: io.interrupt,
        onProgress: bar.show,
      });
    } finally {
      await bar.end();
    }
  }
}

function rollbackText(
  { header }: UnpackedSnapshot,
  { seenBy, entries }: Ahead,
  appended: number,
  now: number,
): string {
  const here = header.version + 1 + appended;
  const made = relativeTime(Date.parse(header.createdAt), now);
  return `expected a snapshot that goes as far as ${seenBy}, ${here + entries} entries, got one of ${here}, made ${made}: it is ${plural(entries, 'entry', 'entries')} behind; restore a newer one, or append the rest from a replica or mirror with --catch-up URL`;
}

function escapeLines(text: string): string {
  return text.split('\n').map(escapeText).join('\n');
}
