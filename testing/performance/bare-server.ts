/**
 * The calibration of reads, as a program: node:http answering every request with one prebuilt body and
 * the headers of a head. Prints its URL; ends when its standard input does.
 */
import { createServer } from 'node:http';

const body = Buffer.from(
  JSON.stringify({ version: 1, entry_hash: `b3:${'0'.repeat(64)}`, note: 'x'.repeat(400) }),
);
const headers = [
  'Content-Type',
  'application/json',
  'Content-Length',
  `${body.length}`,
  'ETag',
  `"b3:${'0'.repeat(64)}"`,
  'Cache-Control',
  'public, max-age=0, must-revalidate',
];

const server = createServer((_, response) => {
  response.writeHead(200, headers);
  response.end(body);
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null)
    console.log(`http://127.0.0.1:${address.port}`);
});
process.stdin.on('end', () => process.exit()).resume();
