/**
 * Subscribes to a registry's stream after a version and prints the first event as it came over the
 * wire. Usage: first-event.ts URL VERSION OUTPUT. OUTPUT.ready appears once the stream is open.
 */
import { renameSync, writeFileSync } from 'node:fs';

const [url = '', version = '', output = ''] = process.argv.slice(2);
const response = await fetch(`${url}/registry/stream`, {
  headers: { 'Last-Event-ID': version },
  signal: AbortSignal.timeout(60_000),
});
if (!response.ok || response.body === null)
  throw new Error(`expected a stream, got ${response.status}`);
writeFileSync(`${output}.ready`, '');
let text = '';
for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
  text += chunk;
  const event = text.split('\n\n').find((frame) => frame.includes('event: registry.update'));
  if (event === undefined || !text.endsWith('\n\n')) continue;
  // The name appears with its content.
  writeFileSync(`${output}.part`, `${event}\n`);
  renameSync(`${output}.part`, output);
  break;
}
process.exit();
