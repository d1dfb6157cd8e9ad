/**
 * Preloaded into the processes of the whole suite: modules come from `QUORATE_TEST_STRIPPED`, where the runner has
 * put them without their types. Stripping them anew is most of what each of 300 test files takes to load. Node's own
 * compile cache would do it too, but makes coverage less precise.
 */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join } from 'node:path';

const root = new URL('../../', import.meta.url).href;
const folder = process.env.QUORATE_TEST_STRIPPED;

registerHooks({
  load(url, context, next) {
    const source = url.startsWith(root) ? strippedOf(url.slice(root.length)) : undefined;
    if (source === undefined) return next(url, context);
    return { format: 'module', source, shortCircuit: true };
  },
});

function strippedOf(path) {
  if (!path.endsWith('.ts')) return undefined;
  try {
    return readFileSync(join(folder, path), 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}
