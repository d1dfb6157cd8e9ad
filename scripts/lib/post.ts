/** Posts a JSON file without its final line end (or nothing) and prints the status, the problem code and what it says; exit status 1 unless it was done. Usage: post.ts URL [FILE] */
import { readFileSync } from 'node:fs';

const [url = '', file] = process.argv.slice(2);
const response = await fetch(url, {
  method: 'POST',
  ...(file === undefined
    ? {}
    : {
        headers: { 'Content-Type': 'application/json' },
        body: readFileSync(file, 'utf8').trimEnd(),
      }),
});
const answer: { code?: string; detail?: string } = JSON.parse(await response.text());
console.log(`HTTP ${response.status} ${answer.code ?? ''}`.trimEnd());
if (answer.detail !== undefined) console.log(answer.detail);
process.exitCode = response.ok ? 0 : 1;
