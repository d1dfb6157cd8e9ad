/**
 * A deployer that believes nobody: it accepts the registry's head only after verifying every entry
 * since the pinned genesis, then holds what is installed in a project against the descriptors there.
 *
 *   node examples/deployer/main.ts --registry b3:... [--url URL] [--state FILE] [PROJECT]
 *
 * Exit status: 0 all is registered, 1 something went wrong, 3 something is installed that was never
 * approved, or with other content than was approved.
 */
import { parseArgs } from 'node:util';
import { createClient } from '../../src/client/index.ts';
import { isHash } from '../../src/core/hash.ts';
import { fileTrust, nativeVerifier } from '../../src/index.ts';
import { checkInstalled } from './check.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    registry: { type: 'string' },
    url: { type: 'string', default: 'http://127.0.0.1:7070' },
    state: { type: 'string', default: 'deployer-trust.json' },
  },
});
const { registry, url, state } = values;
const [project = '.'] = positionals;
// Without the pin the first answer would have to be believed.
if (!isHash(registry))
  throw new Error('expected --registry with the genesis hash, b3: and 64 hex digits');

const client = createClient({
  url,
  registry,
  trust: fileTrust(state),
  verifier: nativeVerifier(),
});
const { head, items } = await client.set();
console.log(`accepted version ${head.version}, ${head.entryHash}`);
console.log(`  ${head.setSize} descriptors under ${head.setRoot}, recomputed here`);

const { checked, findings } = checkInstalled(project, items);
for (const finding of findings) console.log(`  REFUSED ${finding}`);
console.log(`${checked} installed packages checked, ${findings.length} refused`);
process.exitCode = findings.length === 0 && checked > 0 ? 0 : 3;
