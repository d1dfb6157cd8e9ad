/**
 * A deployer as small as one can be, for tests: follows the registry at a URL with its trusted state in
 * a file, says each version, and stops after some. It must end by itself: nothing may be left open.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createClient } from '../../src/client/create.ts';
import { isHash } from '../../src/core/hash.ts';

const [url = '', registry = '', file = '', count = ''] = process.argv.slice(2);
if (!isHash(registry)) throw new Error(`expected a registry, got ${registry}`);

const left = new AbortController();
const client = createClient({
  url,
  registry,
  trust: {
    load: async () => (existsSync(file) ? readFileSync(file, 'utf8') : undefined),
    save: async (text) => writeFileSync(file, text),
  },
});
let seen = 0;
process.stdout.write('following\n');
for await (const { head } of client.follow({ signal: left.signal })) {
  process.stdout.write(`${head.version}\n`);
  if (++seen === Number(count)) setImmediate(() => left.abort());
}
process.stdout.write('ended\n');
