/**
 * The upper bound of reads on Node, as a program: a net server that answers whatever comes with one
 * prebuilt text and reads nothing of the request. Takes a file of answers, of which it gives the first.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { headerList, parseAnswers } from './answer.ts';

const [file = ''] = process.argv.slice(2);
const [answer] = parseAnswers(readFileSync(file, 'utf8'));
if (answer === undefined) throw new Error('expected an answer to give, got none');
const list = headerList(answer);
const headers = list.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${list[i + 1]}`] : []));
const text = [
  'HTTP/1.1 200 OK',
  ...headers,
  `date: ${new Date().toUTCString()}`,
  'connection: keep-alive',
  'keep-alive: timeout=65',
  '',
  answer.body,
].join('\r\n');

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy()).on('data', () => socket.write(text, 'latin1'));
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null)
    console.log(`http://127.0.0.1:${address.port}`);
});
process.stdin.on('end', () => process.exit()).resume();
