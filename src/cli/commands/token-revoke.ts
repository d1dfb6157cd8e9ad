/** `quorate token revoke`: adds to the list that a registry reads; the registry need not run here, or at all. */
import { excerpt } from '../../core/error.ts';
import { openToken } from '../../server/tokens/make.ts';
import { isRevocationId } from '../../server/tokens/revocations.ts';
import { addRevocations } from '../../server/tokens/revoke.ts';
import type { Context } from '../context.ts';
import { usageError } from '../failure.ts';
import { plural } from '../text.ts';
import { readToken } from '../token-input.ts';

export interface RevokeOptions {
  readonly id?: readonly string[];
}

export async function revoke(
  context: Context,
  path: string,
  { id: given }: RevokeOptions,
): Promise<void> {
  const wrong = given?.find((id) => !isRevocationId(id));
  if (wrong !== undefined)
    throw usageError(`expected --id with 128 lower-case hex digits, got ${excerpt(wrong)}`);
  const ids = given ?? (await newestId(context));
  const { added, total } = await addRevocations(path, ids);
  for (const id of ids)
    await (context.globals.isJson ? context.printJson({ revoked: id }) : context.print(id));
  await context.say(`${plural(added, 'id')} added to ${path}, ${total} now`);
}

/** Of its last block: it ends this token and what was made from it, and not what it was made from. */
async function newestId(context: Context): Promise<readonly string[]> {
  return (await openToken(await readToken(context))).revocationIds.slice(-1);
}
