/** A declared set: the descriptors that somebody wants to be registered, as a file says them. */
import type { Json } from '../core/canonical.ts';
import { Check, ID, KIND } from '../core/check.ts';
import { RegistryError } from '../core/error.ts';
import { compareKeys, type Descriptor } from '../core/payload.ts';
import { parseJson, readInput } from './files.ts';
import type { Io } from './io.ts';

const check = new Check('invalid_payload');

/** `kind`: what an item is when it does not say; an item of another kind is then refused. */
export async function readDeclared(
  io: Pick<Io, 'stdin'>,
  { paths, kind }: { readonly paths: readonly string[]; readonly kind: string | undefined },
): Promise<readonly Descriptor[]> {
  const items: Descriptor[] = [];
  for (const path of paths) items.push(...parseDeclared(await readInput(io, path), { path, kind }));
  items.sort(compareKeys);
  items.forEach((item, i) => {
    const before = items[i - 1];
    if (before !== undefined && compareKeys(before, item) === 0)
      throw new RegistryError(
        'invalid_payload',
        `expected ${item.kind}/${item.id} once in the declared set, got it twice`,
      );
  });
  return items;
}

/** A JSON array, an object with `items` (as `GET /registry/head/set` answers), or one item a line. */
function parseDeclared(
  text: string,
  { path, kind }: { readonly path: string; readonly kind: string | undefined },
): readonly Descriptor[] {
  if (text.trim() === '') return [];
  return declaredItems(text, path).map((item, i) =>
    readItem(item, { place: `${path}: item ${i + 1}`, kind }),
  );
}

function declaredItems(text: string, path: string): readonly Json[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const [first = ''] = lines;
  // One object alone on its line is NDJSON's first line, or its only one.
  if (isJsonObject(first) && (lines.length > 1 || !Object.hasOwn(JSON.parse(first), 'items')))
    return lines.map((line, i) => parseJson(line, `${path}: line ${i + 1}`));
  const whole = parseJson(text, path);
  const items = Array.isArray(whole) ? whole : check.object(whole, '').items;
  if (Array.isArray(items)) return items;
  throw new RegistryError(
    'invalid_payload',
    `expected an array at /items: a declared set, here in ${path}, is an array of {"kind","id","spec"}, an object with such items, or one item a line`,
  );
}

function isJsonObject(line: string): boolean {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function readItem(
  value: Json,
  { place, kind }: { readonly place: string; readonly kind: string | undefined },
): Descriptor {
  try {
    const given = check.object(value, '');
    const item = check.members({ ...(kind !== undefined && { kind }), ...given }, '', [
      'id',
      'kind',
      'spec',
    ]);
    const found = check.text(item.kind, '/kind', KIND);
    if (kind !== undefined && found !== kind) check.fail('/kind', `kind ${kind}`, found);
    return {
      kind: found,
      id: check.text(item.id, '/id', ID),
      spec: check.object(item.spec, '/spec'),
    };
  } catch (cause) {
    if (!(cause instanceof RegistryError)) throw cause;
    throw new RegistryError(cause.code, `${place}: ${cause.message}`, {
      cause,
      details: cause.details,
    });
  }
}
