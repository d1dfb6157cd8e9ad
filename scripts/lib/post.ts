/** Posts a JSON file without its final line end (or nothing) and prints the status, the problem code and what it says; exit status 1 unless it was done. Usage: post.ts URL [FILE] */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const [url = '', file] = process.argv.slice(2);
const content =
  file === undefined
    ? {}
    : {
        headers: { 'Content-Type': 'application/json' },
        body: readFileSync(file, 'utf8').trimEnd(),
      };
const post = () => fetch(url, { method: 'POST', ...content });
let response = await post();
// A busy server says when to repeat a write that it did not take.
for (let tries = 0; response.status === 503 && tries < 10; tries++) {
  await delay(Number(response.headers.get('retry-after') ?? 1) * 1000);
  response = await post();
}
const answer: { code?: string; detail?: string } = JSON.parse(await response.text());
console.log(`HTTP ${response.status} ${answer.code ?? ''}`.trimEnd());
if (answer.detail !== undefined) console.log(answer.detail);
process.exitCode = response.ok ? 0 : 1;
