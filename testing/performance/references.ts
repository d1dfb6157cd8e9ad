/** The servers that a registry is held against, answering its own bytes. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { takeAnswer } from './answer.ts';
import { type ChildServer, startChild } from './child.ts';
import { hasTool } from './machine.ts';
import { startNginx } from './nginx-process.ts';

export type Reference = 'nginx' | 'bare node:http' | 'raw socket';

/** Those that are installed. They and their files go with the stack. */
export async function startReferences(
  wanted: ReadonlySet<Reference>,
  { url, paths }: { readonly url: string; readonly paths: ReadonlySet<string> },
  stack: AsyncDisposableStack,
): Promise<ReadonlyMap<Reference, ChildServer>> {
  const answers = await Promise.all([...paths].map((path) => takeAnswer(url, path)));
  const directory = await mkdtemp(join(tmpdir(), 'quorate-perf-answers-'));
  stack.defer(() => rm(directory, { recursive: true }));
  const file = join(directory, 'answers.json');
  await writeFile(file, JSON.stringify(answers));
  const started = new Map<Reference, ChildServer>();
  if (wanted.has('bare node:http'))
    started.set('bare node:http', stack.use(await startChild('bare-server.ts', [file])));
  if (wanted.has('raw socket'))
    started.set('raw socket', stack.use(await startChild('raw-server.ts', [file])));
  if (wanted.has('nginx') && hasTool('nginx'))
    started.set('nginx', stack.use(await startNginx(answers)));
  return started;
}
