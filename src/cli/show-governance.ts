/** A governance for a person: whole, or as the difference to the one before. Pure. */
import { encodeBase64 } from '../core/bytes.ts';
import { escapeText } from '../core/error.ts';
import type { Governance } from '../core/governance.ts';
import type { Previous } from '../core/previous.ts';
import { readSignedCheckpoint } from '../core/tlog/note-signatures.ts';
import type { Style } from './style.ts';
import { table } from './text.ts';

export function showGovernance(governance: Governance): readonly string[] {
  const { threshold, signers, log_keys } = governance;
  return [
    `governance version ${governance.version}: ${threshold} of ${signers.length} signers`,
    ...indented(table(signers.map((s) => [s.signer_id, s.algo, s.public_key]))),
    ...log_keys.map((key) => `  log key ${escapeText(key)}`),
  ];
}

/** What a genesis says of the log it goes on from, as nobody but a bundle or trusted state can confirm. */
export function showHandover({
  checkpoint,
  governance,
  origin,
  registry,
}: Previous): readonly string[] {
  const { size, root } = readSignedCheckpoint(checkpoint);
  return [
    `goes on from ${escapeText(origin)} ${registry}`,
    `  which ends at ${size} entries, root ${encodeBase64(root)}`,
    `  as ${quorumOf(governance)} of its signers say:`,
    ...indented(showGovernance(governance).join('\n')),
  ];
}

/** `before`: `undefined` when it is not known. */
export function showSuccession(
  before: Governance | undefined,
  next: Governance,
  style: Style,
): readonly string[] {
  if (before === undefined) return showGovernance(next);
  return [
    `governance version ${before.version} -> ${next.version}`,
    `  threshold ${quorumOf(before)} -> ${quorumOf(next)}`,
    ...showList(before.signers.map(signerText), next.signers.map(signerText), {
      label: 'signer',
      style,
    }),
    ...showList(before.log_keys, next.log_keys, { label: 'log key', style }),
  ];
}

function showList(
  before: readonly string[],
  next: readonly string[],
  { label, style }: { readonly label: string; readonly style: Style },
): string[] {
  return [
    ...before
      .filter((text) => !next.includes(text))
      .map((text) => style('bad', `  - ${label} ${escapeText(text)}`)),
    ...next
      .filter((text) => !before.includes(text))
      .map((text) => style('good', `  + ${label} ${escapeText(text)}`)),
    ...next
      .filter((text) => before.includes(text))
      .map((text) => style('faint', `    ${label} ${escapeText(text)}`)),
  ];
}

function quorumOf({ threshold, signers }: Governance): string {
  return `${threshold} of ${signers.length}`;
}

function signerText({ signer_id, public_key }: Governance['signers'][number]): string {
  return `${signer_id} ${public_key}`;
}

function indented(text: string): string[] {
  return text.split('\n').map((line) => `  ${line}`);
}
