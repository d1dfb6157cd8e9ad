/** A plan from files against the verified head, and the options of every command that makes one. */
import type { Command } from 'commander';
import type { VerifiedHead } from '../client/client.ts';
import { KIND } from '../core/check.ts';
import type { Change, Descriptor } from '../core/payload.ts';
import type { Context } from './context.ts';
import { readDeclared } from './declared.ts';
import { usageError, verified } from './failure.ts';
import { planChanges } from './plan.ts';

export interface DeclaredOptions {
  readonly file?: readonly string[];
  readonly kind?: string;
  readonly prune?: boolean;
}

export interface DeclaredPlan {
  readonly head: VerifiedHead;
  readonly current: readonly Descriptor[];
  readonly changes: readonly Change[];
}

export function addDeclaredOptions(command: Command): Command {
  return command
    .option(
      '-f, --file <file...>',
      'the declared set: a JSON array, {"items": [...]} or NDJSON; - is stdin',
    )
    .option('--kind <kind>', 'the kind of items that do not say theirs; no other is accepted')
    .option(
      '--prune',
      'also remove what is registered, not declared, and of a kind that is declared',
    );
}

export async function planFromFiles(
  context: Context,
  options: DeclaredOptions,
): Promise<DeclaredPlan> {
  const { file, kind, prune } = options;
  if (file === undefined) throw usageError('expected -f with a declared set');
  if (kind !== undefined && !KIND.test(kind))
    throw usageError(`expected --kind with ${KIND.expected}`);
  const declared = await readDeclared(context.io, { paths: file, kind });
  const client = await context.client();
  const { head, items: current } = await verified(client.set());
  return {
    head,
    current,
    changes: planChanges({ declared, current }, { prune: prune === true, kind }),
  };
}
