/** Writes `openapi.json` from the schemas of `src/api`; a test compares the file with them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createOpenApi } from '../src/api/openapi.ts';

const file = join(import.meta.dirname, '../openapi.json');
writeFileSync(file, `${JSON.stringify(createOpenApi(), null, 2)}\n`);
console.log(`wrote ${file}`);
