/**
 * Parameters of requests: their schemas, and the one reader that both the server and the document go
 * by. Strict: an unknown or repeated parameter is refused, so that a typing error is no silent default.
 */
import { z } from 'zod';
import { excerpt, RegistryError } from '../core/error.ts';
import { Hash, Id, Kind } from './scalars.ts';

const DIGITS = /^(?:0|[1-9][0-9]{0,15})$/;

/** A decimal integer without sign or leading zero; documented as an integer. */
function integerText({ min = 0, max = Number.MAX_SAFE_INTEGER }: { min?: number; max?: number }) {
  const error = `an integer from ${min} to ${max}`;
  return z
    .string({ error })
    .regex(DIGITS, { error })
    .transform(Number)
    .pipe(z.int({ error }).min(min, { error }).max(max, { error }))
    .meta({
      override: ({ jsonSchema }) => {
        delete jsonSchema.pattern;
        Object.assign(jsonSchema, { type: 'integer', minimum: min, maximum: max });
      },
    });
}

/** Larger than any version is no error here: it names an entry that does not exist. */
const VersionPath = z
  .string()
  .regex(DIGITS, { error: 'a version: digits without a leading zero' })
  .transform(Number);

const VersionOrHead = z
  .string()
  .regex(/^(?:head|0|[1-9][0-9]{0,15})$/, { error: 'a version or head' })
  .transform((text) => (text === 'head' ? text : Number(text)));

/** Larger than any checkpoint is no error either. */
const TreeSize = z
  .string()
  .regex(DIGITS, { error: 'a number of leaves: digits without a leading zero' })
  .transform(Number);

/**
 * Parts of a name as C2SP tlog-tiles writes it, documented and not checked: who asks for a name that no
 * tile has is told that there is nothing here, for a monitor of any log knows what a 404 means.
 */
function tileText(pattern: string, description: string, example: string) {
  return z.string().meta({
    description,
    examples: [example],
    override: ({ jsonSchema }) => Object.assign(jsonSchema, { pattern }),
  });
}

const TileIndex = tileText(
  '^(?:x[0-9]{3}/){0,5}[0-9]{3}(?:\\.p/[1-9][0-9]{0,2})?$',
  'The index in groups of three digits, all but the last after an `x`, and for a partial tile `.p/` and its width, 1 to 255.',
  'x001/x234/067.p/8',
);

const DescriptorKey = {
  kind: Kind,
  id: Id.meta({
    description: 'The id, where `/` may stand as it is or as `%2F`.',
    examples: ['checkout'],
  }),
};

const Limit = integerText({ min: 1, max: 1_000 }).default(100);

export const PATHS = {
  version: z.strictObject({ version: VersionPath }),
  versionOrHead: z.strictObject({ version: VersionOrHead }),
  descriptor: z.strictObject({ version: VersionOrHead, ...DescriptorKey }),
  history: z.strictObject(DescriptorKey),
  proposal: z.strictObject({ id: Hash }),
  blob: z.strictObject({ address: Hash }),
  tile: z.strictObject({
    level: tileText('^(?:0|[1-9]|[1-5][0-9]|6[0-3])$', 'The level, 0 to 63.', '0'),
    index: TileIndex,
  }),
  bundle: z.strictObject({ index: TileIndex }),
  inclusion: z.strictObject({ version: VersionPath, size: TreeSize }),
  consistency: z.strictObject({ from: TreeSize, size: TreeSize }),
  schema: z.strictObject({
    name: z.enum(['approval', 'descriptor-set', 'governance', 'payload']),
  }),
} as const;

const cursor = integerText({}).optional();

export const QUERIES = {
  none: z.strictObject({}),
  head: z
    .strictObject({
      after: cursor.meta({ description: 'Wait for a head newer than this version.' }),
      wait: integerText({ max: 60 })
        .optional()
        .meta({ description: 'Seconds to wait, with `after`; 0 without it.' }),
    })
    .refine(({ after, wait }) => wait === undefined || after !== undefined, {
      error: 'after beside it',
      path: ['wait'],
    }),
  descriptor: z.strictObject({
    proof: z
      .enum(['0', '1'], { error: '0 or 1' })
      .default('0')
      .meta({ description: '1: with a proof against `set_root`, of presence or of absence.' }),
  }),
  inclusion: z.strictObject({
    size: integerText({})
      .optional()
      .meta({ description: 'Leaves of the tree; without it, those of the checkpoint.' }),
  }),
  diff: z.strictObject({
    from: integerText({}),
    to: integerText({}).optional().meta({ description: 'Without it: the head.' }),
  }),
  entries: z.strictObject({ from: integerText({}), limit: Limit }),
  readiness: z.looseObject({
    verbose: z.string().optional().meta({
      description: 'With `checks`, also as `?verbose` alone; not when it is 0 or false.',
    }),
  }),
  history: z.strictObject({
    limit: Limit,
    before: integerText({})
      .optional()
      .meta({ description: 'Only values that lower versions put: to go on after the last item.' }),
  }),
  stream: z.strictObject({
    after: cursor.meta({ description: 'Replay exactly after+1 up to the head, then live.' }),
    mode: z
      .enum(['all', 'latest'], { error: 'all or latest' })
      .default('all')
      .meta({ description: '`latest` skips to the newest head when the reader is behind.' }),
  }),
} as const;

export const HEADERS = {
  range: z.looseObject({
    range: z.string().optional().meta({
      description:
        'One range of bytes, such as `bytes=0-99`; anything else is as if it were not there.',
    }),
    'if-range': z.string().optional().meta({
      description: 'The ETag for which the range is meant: of another one the whole is the answer.',
    }),
  }),
  stream: z.strictObject({
    'last-event-id': cursor.meta({
      description: 'The cursor of a reconnecting EventSource; wins over `after`.',
    }),
  }),
} as const;

/** Throws `invalid_request`, naming the parameter, what was expected and what came. */
export function readParameters<S extends z.ZodType>(
  schema: S,
  values: Readonly<Record<string, string>>,
  place: 'path' | 'query' | 'header',
): z.output<S> {
  const result = schema.safeParse(values);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const name = issue?.code === 'unrecognized_keys' ? issue.keys[0] : issue?.path[0];
  const parameter = name === undefined ? '' : ` ${String(name)}`;
  const got = name === undefined ? undefined : values[String(name)];
  const expected =
    issue?.code === 'unrecognized_keys' ? 'no such parameter' : (issue?.message ?? 'another value');
  throw new RegistryError(
    'invalid_request',
    `expected ${expected} in ${place} parameter${parameter}, got ${got === undefined ? 'nothing' : excerpt(got)}`,
    { details: { in: place, parameter: String(name ?? ''), expected } },
  );
}

/** The query of a URL; throws `invalid_request` also when a parameter comes twice. */
export function readQuery<S extends z.ZodType>(schema: S, url: string): z.output<S> {
  const values: Record<string, string> = Object.create(null);
  const [, search = ''] = url.split(/\?(.*)/s);
  for (const [name, value] of new URLSearchParams(search)) {
    if (name in values)
      throw new RegistryError(
        'invalid_request',
        `expected query parameter ${excerpt(name)} once, got it twice`,
        { details: { in: 'query', parameter: name, expected: 'one value' } },
      );
    values[name] = value;
  }
  return readParameters(schema, values, 'query');
}
