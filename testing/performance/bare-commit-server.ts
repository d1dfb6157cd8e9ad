/**
 * A reference of commits, as a program: node:http that takes a POST, has a thread insert 4 KB into SQLite, and
 * answers once they are durable. The same machine, disk, threads and wake-ups as a commit, with no registry in
 * between. Takes the path of its database; without one it keeps nothing. Prints its URL; ends when its
 * standard input does.
 */
import { createServer } from 'node:http';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';

const BYTES = 4_096;

if (isMainThread) serve(process.argv[2]);
else keep(workerData as string);

function serve(path: string | undefined): void {
  const lane =
    path === undefined ? undefined : new Worker(import.meta.filename, { workerData: path });
  const waiting: (() => void)[] = [];
  lane?.on('message', () => waiting.shift()?.());
  const server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
    const answer = () => {
      response.writeHead(201, { 'content-type': 'application/json' });
      response.end('{"committed":true}');
    };
    request.resume().on('end', () => {
      if (lane === undefined) return answer();
      waiting.push(answer);
      lane.postMessage(new Uint8Array(BYTES));
    });
  });
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    if (typeof address === 'object' && address !== null)
      console.log(`http://127.0.0.1:${address.port}`);
  });
  process.stdin.on('end', () => process.exit()).resume();
}

function keep(path: string): void {
  const db = new Database(path);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  // One of them takes as long as a hundred inserts: a round would have it, and the next not.
  db.pragma('wal_autocheckpoint = 0');
  db.exec('CREATE TABLE kept (bytes BLOB NOT NULL) STRICT');
  const insert = db.prepare('INSERT INTO kept VALUES (?)');
  parentPort?.on('message', (bytes: Uint8Array) => {
    insert.run(bytes);
    parentPort?.postMessage('durable');
  });
}
