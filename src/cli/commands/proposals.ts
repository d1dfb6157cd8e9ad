/** `quorate proposals`: what is in flight and was lately committed, as the server tells it. */
import { type Command, Option } from 'commander';
import type { ProposalJson } from '../../client/client.ts';
import { escapeText } from '../../core/error.ts';
import type { Context } from '../context.ts';
import { relativeTime, showJson, table } from '../text.ts';

const STATES = ['pending', 'ready', 'blocked', 'expired', 'committed'] as const;

export function defineProposals(command: Command, context: Context): void {
  command
    .addOption(new Option('--in <state>', 'only those in this state').choices(STATES))
    .action((options: { in?: string }) => list(context, options.in));
}

async function list(context: Context, state: string | undefined): Promise<void> {
  const client = await context.client();
  const all = await client.unverifiedProposals();
  const proposals = all.filter((proposal) => state === undefined || proposal.state === state);
  if (context.globals.isJson) for (const proposal of proposals) await context.printJson(proposal);
  else if (proposals.length > 0)
    await context.print(table(proposals.map((p) => cells(p, context.io.now()))));
  await context.say(`${proposals.length} of ${all.length} proposals, as the server tells them`);
}

/** The text is a stranger's. */
function cells(
  { proposal_id, type, state, quorum, blocked_by, ...rest }: ProposalJson,
  now: number,
): string[] {
  const why = state === 'blocked' && blocked_by !== null ? ` by ${blocked_by}` : '';
  return [
    proposal_id,
    type,
    `${state}${why}`,
    `${quorum.approvals.length} of ${quorum.threshold}`,
    rest.version === null
      ? relativeTime(Date.parse(rest.expires_at), now)
      : `version ${rest.version}`,
    showJson(rest.note),
  ].map(escapeText);
}
