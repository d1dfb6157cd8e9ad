/**
 * A reference of reads, as a program: node:http answering each path with prebuilt bytes and the registry's
 * own headers, or 304. Takes a file of answers; prints its URL; ends when its standard input does.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { headerList, parseAnswers } from './answer.ts';

const [file = ''] = process.argv.slice(2);
const answers = new Map(
  parseAnswers(readFileSync(file, 'utf8')).map((answer) => [
    answer.path,
    { etag: answer.etag, body: Buffer.from(answer.body), headers: headerList(answer) },
  ]),
);

const server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
  const answer = answers.get(request.url ?? '');
  if (answer === undefined) {
    response.writeHead(404).end();
  } else if (request.headers['if-none-match'] === answer.etag) {
    response.writeHead(304, ['etag', answer.etag]).end();
  } else {
    response.writeHead(200, answer.headers);
    response.end(answer.body);
  }
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null)
    console.log(`http://127.0.0.1:${address.port}`);
});
process.stdin.on('end', () => process.exit()).resume();
