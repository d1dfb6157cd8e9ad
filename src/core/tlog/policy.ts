/**
 * C2SP tlog-policy: which witnesses there are and which of their cosignatures are enough. One grammar
 * for the service that collects them and for the readers that demand them.
 */
import { isEqualBytes } from '../bytes.ts';
import { RegistryError } from '../error.ts';
import { parseVerifierKey, type VerifierKey } from '../vkey.ts';

export interface PolicyWitness {
  readonly name: string;
  readonly key: VerifierKey;
  /** Submission prefix, where the policy names one. */
  readonly url: string | null;
}

interface Group {
  readonly needed: number;
  readonly members: readonly string[];
}

export interface WitnessPolicy {
  readonly logs: readonly { readonly key: VerifierKey; readonly url: string | null }[];
  readonly witnesses: readonly PolicyWitness[];
  readonly groups: ReadonlyMap<string, Group>;
  /** A witness's or a group's name; `null`: none is asked for. */
  readonly quorum: string | null;
}

/** Nobody's cosignature is asked for. */
export const NO_WITNESSES: WitnessPolicy = {
  logs: [],
  witnesses: [],
  groups: new Map(),
  quorum: null,
};

/** Throws `invalid_request`, with the line. */
export function parsePolicy(text: string): WitnessPolicy {
  const reader = new PolicyReader();
  for (const [i, line] of text.split('\n').entries()) {
    if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(line))
      throw refused(i + 1, 'no control character but the tab', line);
    const words = line.split(/[ \t]+/).filter((word) => word !== '');
    // Only a whole line is a comment: a name or a url may hold a '#'.
    if (words[0] !== undefined && !words[0].startsWith('#')) reader.add(i + 1, words);
  }
  return reader.policy();
}

/** Whether cosignatures by these witnesses (names of the policy) are enough. */
export function isSatisfied(policy: WitnessPolicy, cosigned: ReadonlySet<string>): boolean {
  const holds = (name: string): boolean => {
    const group = policy.groups.get(name);
    if (group === undefined) return cosigned.has(name);
    return group.members.filter(holds).length >= group.needed;
  };
  return policy.quorum === null || holds(policy.quorum);
}

/**
 * The newest time for which enough witnesses vouch: cosignatures from then on satisfy the policy.
 * `undefined`: they never do. `times`: names of the policy to POSIX seconds; `null` for a policy that
 * asks for nobody.
 */
export function quorumTime(
  policy: WitnessPolicy,
  times: ReadonlyMap<string, number>,
): number | null | undefined {
  if (policy.quorum === null) return null;
  const newestFirst = [...times].sort(([, a], [, b]) => b - a);
  const cosigned = new Set<string>();
  for (const [name, time] of newestFirst) {
    cosigned.add(name);
    if (isSatisfied(policy, cosigned)) return time;
  }
  return undefined;
}

class PolicyReader {
  readonly #logs: { key: VerifierKey; url: string | null }[] = [];
  readonly #witnesses: PolicyWitness[] = [];
  readonly #groups = new Map<string, Group>();
  readonly #names = new Set<string>();
  readonly #grouped = new Set<string>();
  #quorum: string | null | undefined;

  add(line: number, [keyword, ...words]: readonly string[]): void {
    switch (keyword) {
      case 'log':
        this.#addLog(line, words);
        break;
      case 'witness':
        this.#addWitness(line, words);
        break;
      case 'group':
        this.#addGroup(line, words);
        break;
      case 'quorum':
        this.#setQuorum(line, words);
        break;
      default:
        throw refused(line, 'log, witness, group or quorum', keyword);
    }
  }

  policy(): WitnessPolicy {
    if (this.#quorum === undefined) throw refused(0, 'a quorum line', 'none');
    return {
      logs: this.#logs,
      witnesses: this.#witnesses,
      groups: this.#groups,
      quorum: this.#quorum,
    };
  }

  #addLog(line: number, [vkey, url, ...rest]: readonly string[]): void {
    const key = keyAt(line, vkey, ['ed25519', 'ml-dsa-44']);
    if (rest.length > 0) throw refused(line, 'log <vkey> [url]', rest.join(' '));
    refuseTwin(line, key, this.#logs);
    this.#logs.push({ key, url: urlAt(line, url) });
  }

  #addWitness(line: number, [name, vkey, url, ...rest]: readonly string[]): void {
    const key = keyAt(line, vkey, ['cosigner', 'ml-dsa-44']);
    if (rest.length > 0) throw refused(line, 'witness <name> <vkey> [url]', rest.join(' '));
    refuseTwin(line, key, this.#witnesses);
    this.#witnesses.push({ name: this.#newName(line, name), key, url: urlAt(line, url) });
  }

  #addGroup(line: number, [name, count, ...members]: readonly string[]): void {
    for (const member of members) this.#take(line, member);
    const needed = count === 'any' ? 1 : count === 'all' ? members.length : Number(count);
    const isCount = count === 'any' || count === 'all' || /^[1-9][0-9]{0,3}$/.test(count ?? '');
    if (!isCount || needed < 1 || needed > members.length)
      throw refused(line, `any, all or 1 to ${members.length} members`, count);
    this.#groups.set(this.#newName(line, name), { needed, members });
  }

  #setQuorum(line: number, [name, ...rest]: readonly string[]): void {
    if (this.#quorum !== undefined) throw refused(line, 'one quorum line', 'another');
    if (name === undefined || rest.length > 0 || (name !== 'none' && !this.#names.has(name)))
      throw refused(line, 'a name defined before, or none', [name, ...rest].join(' '));
    this.#quorum = name === 'none' ? null : name;
  }

  #newName(line: number, name: string | undefined): string {
    if (name === undefined || name === 'none' || this.#names.has(name))
      throw refused(line, 'a new name', name);
    this.#names.add(name);
    return name;
  }

  /** As a member: defined before, and of one group only. */
  #take(line: number, name: string): void {
    if (!this.#names.has(name)) throw refused(line, 'members defined before', name);
    if (this.#grouped.has(name)) throw refused(line, 'each name in one group at most', name);
    this.#grouped.add(name);
  }
}

function keyAt(line: number, vkey: string | undefined, types: readonly string[]): VerifierKey {
  const key = vkey === undefined ? undefined : parseVerifierKey(vkey);
  if (key === undefined || !types.includes(key.type))
    throw refused(line, `a c2sp verifier key (${types.join(' or ')})`, vkey);
  return key;
}

/** By the key's bytes: one key under two names would count as two. */
function refuseTwin(
  line: number,
  key: VerifierKey,
  others: readonly { readonly key: VerifierKey }[],
): void {
  const twin = others.find((other) => isEqualBytes(other.key.publicKey, key.publicKey));
  if (twin !== undefined) throw refused(line, 'each key once', `that of ${twin.key.name} again`);
}

function urlAt(line: number, url: string | undefined): string | null {
  if (url === undefined) return null;
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw refused(line, 'an http or https url', url);
  return url.replace(/\/+$/, '');
}

function refused(line: number, expected: string, got: string | undefined): RegistryError {
  const place = line === 0 ? 'the witness policy' : `line ${line} of the witness policy`;
  return new RegistryError(
    'invalid_request',
    `expected ${expected} in ${place}, got ${JSON.stringify(got ?? 'nothing')}`,
    { details: { line } },
  );
}
