/**
 * Prints the packages of an npm lockfile as descriptors, one JSON object a line, for
 * `quorate plan -f -`. Usage: node examples/npm-lock/main.ts [package-lock.json]
 */
import { canonicalText } from '../../src/core/canonical.ts';
import { descriptorsOf, readLockfile } from './lockfile.ts';

const [path = 'package-lock.json'] = process.argv.slice(2);
console.log(descriptorsOf(readLockfile(path)).map(canonicalText).join('\n'));
