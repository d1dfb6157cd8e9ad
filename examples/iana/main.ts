/**
 * Prints IANA's media types, as the npm package mime-db ships them, as descriptors, one JSON object
 * a line, for `quorate plan -f -`. Usage: node examples/iana/main.ts [node_modules/mime-db/db.json]
 */
import { readFileSync } from 'node:fs';
import { canonicalText } from '../../src/core/canonical.ts';
import { compareKeys, type Descriptor } from '../../src/core/payload.ts';

interface MediaType {
  readonly source?: string;
  readonly charset?: string;
  readonly compressible?: boolean;
  readonly extensions?: readonly string[];
}

/** Those that IANA registered; mime-db also has what servers made up. Sorted. */
export function descriptorsOf(types: Readonly<Record<string, MediaType>>): Descriptor[] {
  return Object.entries(types)
    .filter(([, { source }]) => source === 'iana')
    .map(([id, { charset, compressible, extensions }]) => ({
      kind: 'media-type',
      id,
      spec: {
        ...(charset === undefined ? {} : { charset }),
        ...(compressible === undefined ? {} : { compressible }),
        ...(extensions === undefined ? {} : { extensions }),
      },
    }))
    .sort(compareKeys);
}

const [path = 'node_modules/mime-db/db.json'] = process.argv.slice(2);
console.log(
  descriptorsOf(JSON.parse(readFileSync(path, 'utf8')))
    .map(canonicalText)
    .join('\n'),
);
