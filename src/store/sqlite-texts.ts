/**
 * All that a database holds of canonical JSON that may name something: payloads in flight, then every value
 * of every retained version. For who looks for names in it, on a connection of its own, while writes go on.
 */
import { isEqualBytes } from '../core/bytes.ts';
import { RegistryError } from '../core/error.ts';
import { blake3Bytes } from '../core/hash.ts';
import { PageBudget } from './paging.ts';
import { openReadOnly } from './sqlite-open.ts';

interface TextRow {
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly hash: Uint8Array;
}

/** In this order: what was in flight at the beginning and is committed meanwhile is seen in one of the two. */
const TEXTS = [
  'SELECT arrival AS at, payload AS bytes, payload_b3 AS hash FROM proposals WHERE arrival > ? ORDER BY arrival',
  'SELECT span AS at, bytes, value_hash AS hash FROM spans WHERE span > ? ORDER BY span',
];

/**
 * In pages, none of which holds a transaction open behind it. Throws `storage_damaged` for a text that is not what was kept: a
 * name in it would go unseen. And what `openSqliteReader` throws.
 */
export function* walkTexts(path: string): Generator<readonly Uint8Array[], undefined> {
  const db = openReadOnly(path);
  try {
    for (const sql of TEXTS) {
      const statement = db.prepare<[number], TextRow>(sql);
      let page: readonly TextRow[];
      for (let at = -1; ; at = page.at(-1)?.at ?? at) {
        page = readPage(statement.iterate(at));
        if (page.length === 0) break;
        yield page.map(({ bytes }) => bytes);
      }
    }
  } finally {
    db.close();
  }
}

function readPage(rows: Iterable<TextRow>): readonly TextRow[] {
  const page: TextRow[] = [];
  const budget = new PageBudget();
  for (const row of rows) {
    assertWhole(row);
    page.push(row);
    if (budget.isFullWith(row.bytes.length)) break;
  }
  return page;
}

/** Of what was pruned or erased there is nothing left, and nothing to be named by it. */
function assertWhole({ bytes, hash }: TextRow): void {
  if (bytes.length === 0 || isEqualBytes(blake3Bytes(bytes), hash)) return;
  throw new RegistryError(
    'storage_damaged',
    'expected a value that hashes to what is kept beside it, got other bytes',
  );
}
