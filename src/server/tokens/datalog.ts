/**
 * What a token says, and its text: the few Datalog forms that a block may hold. Anything else is
 * refused before it is evaluated. Whoever holds a token can append blocks to it, and one expression of
 * a stranger may run for hours: the library looks at its time limit only between expressions.
 */
import { KIND, type TextRule } from '../../core/check.ts';
import { excerpt, RegistryError } from '../../core/error.ts';
import { type Hash, isHash } from '../../core/hash.ts';
import { type Attempt, OPERATIONS, type Operation } from '../../http/authority.ts';

/** What tokens are for, by name. */
export const SCOPES = OPERATIONS;

/** One check of a block; all of all blocks must hold. */
export type Caveat =
  | { readonly operations: readonly Operation[] }
  /** Of every change. */
  | { readonly kinds: readonly string[] }
  /** Of the id of every change. */
  | { readonly idPrefix: string }
  | { readonly proposals: readonly Hash[] }
  /** Unix seconds; not valid from then on. */
  | { readonly expires: number };

/** What the holder of a root key grants: the first block. */
export interface Grant {
  readonly registry: Hash;
  readonly scopes: readonly Operation[];
  /** Unix seconds. */
  readonly issued: number;
  readonly expires: number;
  readonly caveats: readonly Caveat[];
}

/** Throws `invalid_request` for a value that no token can say. */
export function encodeGrant({ registry, scopes, issued, expires, caveats }: Grant): string {
  const facts = [
    `registry(${quoteHash(registry)})`,
    ...some(scopes).map((scope) => `scope(${quoteOperation(scope)})`),
    `issued(${seconds(issued)})`,
    `expires(${seconds(expires)})`,
  ];
  return facts.map((fact) => `${fact};\n`).join('') + encodeCaveats(caveats);
}

/** Throws `invalid_request` for a value that no token can say. */
export function encodeCaveats(caveats: readonly Caveat[]): string {
  return caveats.map((caveat) => `${encodeCaveat(caveat)};\n`).join('');
}

function encodeCaveat(caveat: Caveat): string {
  if ('operations' in caveat)
    return `check if ${oneOf('operation', caveat.operations.map(quoteOperation))}`;
  if ('kinds' in caveat)
    return `check all kind($kind), [${some(caveat.kinds.map(quoteKind)).join(', ')}].contains($kind)`;
  if ('idPrefix' in caveat)
    return `check if id_prefix($prefix), $prefix.starts_with(${quote(caveat.idPrefix, ID_PREFIX)})`;
  if ('proposals' in caveat)
    return `check if ${oneOf('proposal', caveat.proposals.map(quoteHash))}`;
  return `check if now($now), $now < ${seconds(caveat.expires)}`;
}

/** More kinds in one payload are told to no token: one that is bound to kinds then refuses. */
export const MAX_KINDS = 64;

/** What a token is asked, and by which rule: its first block alone says what it grants. `now`: Unix seconds. */
export function encodeAttempt(attempt: Attempt, now: number): string {
  const { operation, registry, proposal, kinds, idPrefix } = attempt;
  const facts = [
    `operation(${quoteOperation(operation)})`,
    `to_registry(${quoteHash(registry)})`,
    ...(proposal === null ? [] : [`proposal(${quoteHash(proposal)})`]),
    `now(${seconds(now)})`,
    ...(kinds.length > MAX_KINDS ? [] : kinds.map((kind) => `kind(${quoteKind(kind)})`)),
    ...(idPrefix ? [`id_prefix(${quote(idPrefix, ID_PREFIX)})`] : []),
  ];
  return facts.map((fact) => `${fact};\n`).join('') + POLICY;
}

const POLICY =
  'allow if registry($registry), to_registry($registry), scope($scope), operation($scope), expires($expires), now($now), $now < $expires;\n';

/**
 * A first block as the library prints it. What was read is written again and compared, so a block has
 * one spelling and nothing in it goes unread. Throws `unauthenticated`.
 */
export function readGrant(source: string): Grant {
  const lines = linesOf(source);
  const grant: Grant = {
    registry: textOf(lines, 'registry') as Hash,
    scopes: textsOf(lines, 'scope') as readonly Operation[],
    issued: secondsOf(lines, 'issued'),
    expires: secondsOf(lines, 'expires'),
    caveats: lines.filter((line) => line.startsWith('check ')).map(readCaveat),
  };
  assertSpelling(source, () => encodeGrant(grant));
  return grant;
}

/** A later block, likewise: nothing but caveats. */
export function readCaveats(source: string): readonly Caveat[] {
  const caveats = linesOf(source).map(readCaveat);
  assertSpelling(source, () => encodeCaveats(caveats));
  return caveats;
}

const CHECK_KINDS = {
  operations: 'check if operation(',
  kinds: 'check all kind(',
  idPrefix: 'check if id_prefix(',
  proposals: 'check if proposal(',
  expires: 'check if now(',
} as const;

function readCaveat(line: string): Caveat {
  const texts = [...line.matchAll(/"([^"]*)"/g)].map(([, text = '']) => text);
  if (line.startsWith(CHECK_KINDS.operations)) return { operations: texts as Operation[] };
  if (line.startsWith(CHECK_KINDS.kinds)) return { kinds: texts };
  if (line.startsWith(CHECK_KINDS.idPrefix)) return { idPrefix: texts[0] ?? '' };
  if (line.startsWith(CHECK_KINDS.proposals)) return { proposals: texts as Hash[] };
  if (line.startsWith(CHECK_KINDS.expires)) return { expires: Number(/(\d+)$/.exec(line)?.[1]) };
  throw notUnderstood();
}

function linesOf(source: string): readonly string[] {
  return source.split(';\n').slice(0, -1);
}

function textOf(lines: readonly string[], fact: string): string {
  return textsOf(lines, fact)[0] ?? '';
}

function textsOf(lines: readonly string[], fact: string): readonly string[] {
  return termsOf(lines, fact).map((term) => term.slice(1, -1));
}

function secondsOf(lines: readonly string[], fact: string): number {
  return Number(termsOf(lines, fact)[0]);
}

function termsOf(lines: readonly string[], fact: string): readonly string[] {
  return lines
    .filter((line) => line.startsWith(`${fact}(`))
    .map((line) => line.slice(fact.length + 1, -1));
}

function assertSpelling(source: string, encode: () => string): void {
  let spelling: string | undefined;
  try {
    spelling = encode();
  } catch {
    // A value that no token of ours can say.
  }
  if (spelling !== source) throw notUnderstood();
}

function notUnderstood(): RegistryError {
  return new RegistryError(
    'unauthenticated',
    'expected a token of the forms in docs/tokens.md, got one that says something else',
  );
}

const ID_PREFIX: TextRule = {
  expected: 'the beginning of an id: 1 to 256 of [A-Za-z0-9._~:@/+-]',
  test: (text) => /^[A-Za-z0-9._~:@/+-]{1,256}$/.test(text),
};
const OPERATION: TextRule = {
  expected: `a scope: ${OPERATIONS.join(', ')}`,
  test: (text) => OPERATIONS.some((operation) => operation === text),
};
const HASH: TextRule = { expected: 'b3: and 64 lower-case hex digits', test: isHash };

function oneOf(fact: string, values: readonly string[]): string {
  return some(values)
    .map((value) => `${fact}(${value})`)
    .join(' or ');
}

/** None would be a check that holds for nothing, or for everything. */
function some<T>(values: readonly T[]): readonly T[] {
  if (values.length === 0) throw cannotSay('one value or more', 'none');
  return values;
}

function quoteOperation(operation: string): string {
  return quote(operation, OPERATION);
}

function quoteKind(kind: string): string {
  return quote(kind, KIND);
}

function quoteHash(hash: string): string {
  return quote(hash, HASH);
}

/** No rule admits a quote or a backslash: text never ends early. */
function quote(text: string, rule: TextRule): string {
  if (!rule.test(text)) throw cannotSay(rule.expected, text);
  return `"${text}"`;
}

function seconds(value: number): string {
  if (!Number.isInteger(value) || value < 0 || value > MAX_SECONDS)
    throw cannotSay('whole seconds since 1970', value);
  return String(value);
}

/** The end of the year 9999. */
const MAX_SECONDS = 253_402_300_799;

function cannotSay(expected: string, got: unknown): RegistryError {
  return new RegistryError('invalid_request', `expected ${expected}, got ${excerpt(got)}`);
}
