/** A policy for readers of one log, as text (C2SP tlog-policy): what they pin, and whose word they ask for. */
import { encodeVerifierKey, type VerifierKey } from '../vkey.ts';
import type { WitnessPolicy } from './policy.ts';

export interface PolicyText {
  /** Verifier keys of the log. */
  readonly logs: readonly string[];
  /** Where the log is read. */
  readonly url: string;
  /** Its witnesses and its quorum; what it says of logs is left out. */
  readonly policy: WitnessPolicy;
  /** Verifier key of the log's own clock. */
  readonly clock: string | null;
}

/** What `parsePolicy` reads. Witnesses stand without their urls: readers ask the log alone. */
export function encodePolicy({ logs, url, policy, clock }: PolicyText): string {
  const names = new Set([...policy.witnesses.map(({ name }) => name), ...policy.groups.keys()]);
  const clockName = names.has('clock') ? freeName(names) : 'clock';
  const own = policy.witnesses.length === 0 && clock !== null ? clockName : 'none';
  const lines = [
    ...logs.map((vkey) => `log ${vkey} ${url}`),
    ...policy.witnesses.map(({ name, key }) => `witness ${name} ${vkeyOf(key)}`),
    ...(clock === null
      ? []
      : [
          '# The log itself says how fresh its head is: this tells nothing of who else has seen it.',
          `witness ${clockName} ${clock}`,
        ]),
    ...[...policy.groups].map(
      ([name, { needed, members }]) => `group ${name} ${needed} ${members.join(' ')}`,
    ),
    `quorum ${policy.quorum ?? own}`,
  ];
  return `${lines.join('\n')}\n`;
}

function vkeyOf({ name, type, publicKey }: VerifierKey): string {
  return encodeVerifierKey({ name, type, publicKey });
}

function freeName(taken: ReadonlySet<string>): string {
  let at = 1;
  while (taken.has(`clock-${at}`)) at++;
  return `clock-${at}`;
}
