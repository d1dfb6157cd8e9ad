/**
 * What Quorate's feed is measured against: a server of events that queues each of them for every
 * reader, whether it reads or not. Listens on the Unix socket that is its argument; each line of
 * standard input says how many events to send.
 */
import { createServer, type ServerResponse } from 'node:http';
import { createInterface } from 'node:readline';

const [path = ''] = process.argv.slice(2);
const readers = new Set<ServerResponse>();
const FRAME_BYTES = 1_400;

const server = createServer((_, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  readers.add(response);
  response.once('close', () => readers.delete(response));
});
server.listen(path, () => process.stdout.write('listening\n'));

for await (const line of createInterface({ input: process.stdin })) {
  for (let id = 0; id < Number(line); id++)
    for (const reader of readers) reader.write(`${id}`.padEnd(FRAME_BYTES, '.'));
  process.stdout.write(`${readers.size} readers\n`);
}
process.exit();
