/** What became slower, looked at once more with a profiler: a CPU profile and its flame graph beside the run. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { entryOf, inFlight, writeEntry } from './entries.ts';
import type { Profile } from './figure.ts';
import { flameGraph } from './flame.ts';
import { runLoad } from './load.ts';
import { Poster } from './poster.ts';
import { startRegistry } from './registry-process.ts';

const READ_SECONDS = 5;
const CYCLES = 500;

/** Answers the files it wrote: of each thread of the server a profile and a flame graph. */
export async function profileServer(profile: Profile, output: string): Promise<readonly string[]> {
  const directory = await mkdtemp(join(tmpdir(), 'quorate-perf-profile-'));
  try {
    const nodeFlags = ['--cpu-prof', '--cpu-prof-interval=500', `--cpu-prof-dir=${directory}`];
    await drive(profile, nodeFlags);
    const written: string[] = [];
    for (const [i, file] of (await readdir(directory)).sort().entries()) {
      const content = await readFile(join(directory, file), 'utf8');
      const name = `${profile}-thread-${i}`;
      await writeFile(join(output, `${name}.cpuprofile`), content);
      await writeFile(join(output, `${name}-flame.svg`), flameGraph(JSON.parse(content), name));
      written.push(`${name}.cpuprofile`, `${name}-flame.svg`);
    }
    if (written.length === 0) throw new Error('expected the server to write a profile, got none');
    return written;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Reads and whole cycles, as they are measured. Node writes its profiles as the server ends. */
async function drive(profile: Profile, nodeFlags: readonly string[]): Promise<void> {
  await using server = await startRegistry(profile, { nodeFlags });
  await runLoad(`${server.url}/registry/head`, { connections: 64, seconds: READ_SECONDS });
  using poster = new Poster(server.url, 16);
  const entries = Array.from({ length: CYCLES }, (_, i) =>
    entryOf(server, { id: `profiled-${i}`, bytes: 4_096 }),
  );
  await inFlight(entries, 16, (entry) => writeEntry(poster, entry));
}
