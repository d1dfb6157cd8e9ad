/**
 * A reference of whole sets, as a program: node:http piping one file to whoever asks. Takes the file; prints its
 * URL; ends when its standard input does.
 */
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { pipeline } from 'node:stream/promises';

const [file = ''] = process.argv.slice(2);
const { size } = statSync(file);

const server = createServer((_, response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': size });
  pipeline(createReadStream(file), response).catch(() => response.destroy());
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null)
    console.log(`http://127.0.0.1:${address.port}`);
});
process.stdin.on('end', () => process.exit()).resume();
