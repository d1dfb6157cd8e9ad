/** What a bundle proves, for a person: what is proven, and what the checkpoint merely vouches for. Pure. */
import type { ProvenEntry, VerifiedBundle } from '../core/bundle.ts';
import { formatTime } from '../core/time.ts';
import type { Witnessed } from '../core/tlog/witnessed.ts';
import type { Style } from './style.ts';
import { plural, showJson, table } from './text.ts';

/** `witnessed`: `undefined` when no policy was given. */
export function showBundle(
  { checkpoint, entries, lineage, logKeys }: VerifiedBundle,
  witnessed: Witnessed | undefined,
  style: Style,
): string {
  const [first] = entries;
  const isPinnedLater = first !== undefined && first.leaf.version > 0;
  return [
    style('good', `verified ${lineage.origin}, offline`),
    table([
      ['registry', lineage.registry],
      ...(isPinnedLater
        ? [['from', `version ${first.leaf.version} on; what came before stands by the pin`]]
        : []),
      [
        'checkpoint',
        `${plural(checkpoint.size, 'entry', 'entries')}, signed by the log key ${logKeys.map(({ keyId }) => keyId).join(', ')}`,
      ],
      ['witnesses', showWitnessed(witnessed)],
      [
        'governance',
        `version ${lineage.governance.version}, ${lineage.governance.threshold} of ${lineage.governance.signers.length}`,
      ],
    ]),
    ...entries.flatMap((entry, i) => showProven(entry, i === 0 && isPinnedLater)),
    'the set roots are vouched for by the checkpoint and its witnesses; `quorate verify` computes them again',
  ].join('\n');
}

function showProven(
  { leaf, entryHash, proposal, approvals }: ProvenEntry,
  isPin: boolean,
): readonly string[] {
  const by = approvals.map(({ signer_id }) => signer_id).join(', ');
  return [
    `version ${leaf.version} ${leaf.type} ${entryHash}`,
    isPin ? '  proven: it is the pinned entry' : `  proven: approved by ${by}`,
    `  proven: in the log, at its version, committed as ${leaf.committed_at}`,
    `  vouched for: ${plural(leaf.set_size, 'descriptor')} after it, set root ${leaf.set_root}`,
    `  note ${showJson(proposal.payload.note)}`,
  ];
}

function showWitnessed(witnessed: Witnessed | undefined): string {
  if (witnessed === undefined) return 'not asked about: --policy demands them';
  const { cosigned, time } = witnessed;
  if (time === null) return 'none demanded by the policy';
  return `${cosigned.join(', ')}; a quorum of them saw it at ${formatTime(time * 1000)}`;
}
