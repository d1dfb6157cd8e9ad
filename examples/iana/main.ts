/**
 * Writes IANA's media types as declared sets for `quorate propose -f`: `part-1.ndjson` and so on, each
 * small enough for one payload, and prints their paths.
 *
 *   node examples/iana/main.ts DIRECTORY [--max-bytes N] [--from node_modules/mime-db/db.json]
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { canonicalText } from '../../src/core/canonical.ts';
import { descriptorsOf, partsOf } from './media-types.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    from: { type: 'string', default: 'node_modules/mime-db/db.json' },
    'max-bytes': { type: 'string' },
  },
});
const [directory] = positionals;
if (directory === undefined) throw new Error('expected a directory to write to, got none');
const maxBytes = values['max-bytes'] === undefined ? undefined : Number(values['max-bytes']);
const parts = partsOf(descriptorsOf(JSON.parse(readFileSync(values.from, 'utf8'))), maxBytes);

mkdirSync(directory, { recursive: true });
for (const [i, part] of parts.entries()) {
  const path = join(directory, `part-${i + 1}.ndjson`);
  writeFileSync(path, `${part.map(canonicalText).join('\n')}\n`);
  console.log(path);
}
