/**
 * The keys under which somebody may look for governance in a configuration. It is not there: whoever
 * can write a file or a variable must not be able to say whose signatures count.
 */
import { excerpt } from '../core/error.ts';

const GOVERNED = /quorum|threshold|signer|governance|approv|signature|mofn/;

/**
 * Why a key is refused, in any spelling, and one anywhere in the table that it names; `undefined` when it
 * has nothing to do with governance.
 */
export function governanceRefusal(key: string, value?: unknown): string | undefined {
  const governed = governedKey(key, value);
  return (
    governed &&
    `expected no governance in a configuration, got ${excerpt(governed)}: who may sign, and how many must, changes by commits that the signers approved (\`quorate signers\`)`
  );
}

function governedKey(key: string, value: unknown): string | undefined {
  if (GOVERNED.test(key.toLowerCase().replace(/[^a-z]/g, ''))) return key;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [name, below] of Object.entries(value)) {
    const governed = governedKey(name, below);
    if (governed !== undefined) return `${key}.${governed}`;
  }
  return undefined;
}
