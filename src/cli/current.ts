/** What stands now at the keys that changes touch, verified: by proof when they are few, else from the whole set. */
import type { Client } from '../client/client.ts';
import type { Change, Descriptor } from '../core/payload.ts';
import { verified } from './failure.ts';
import { keyOf } from './plan.ts';
import type { CurrentValue } from './show-changes.ts';

const MAX_PROOFS = 16;

export async function currentValues(
  client: Client,
  changes: readonly Change[],
): Promise<CurrentValue> {
  const values =
    changes.length <= MAX_PROOFS ? await provenValues(client, changes) : await setValues(client);
  return (key) => values.get(keyOf(key)) ?? null;
}

async function provenValues(
  client: Client,
  changes: readonly Change[],
): Promise<Map<string, Descriptor | null>> {
  const values = new Map<string, Descriptor | null>();
  for (const { kind, id } of changes)
    values.set(keyOf({ kind, id }), (await verified(client.descriptor({ kind, id }))).descriptor);
  return values;
}

async function setValues(client: Client): Promise<Map<string, Descriptor>> {
  const { items } = await verified(client.set());
  return new Map(items.map((item) => [keyOf(item), item]));
}
