/** Whether the golden metrics are on the page of a server that has read and written: speed must not cost sight. */
import { GOLDEN } from '../support/server-golden.ts';
import { entryOf, writeEntry } from './entries.ts';
import type { Profile } from './figure.ts';
import { missingMetrics } from './gate.ts';
import { Poster } from './poster.ts';
import { startRegistry } from './registry-process.ts';

/** A line each, empty when all are there. */
export async function findMissingMetrics(profile: Profile): Promise<readonly string[]> {
  await using server = await startRegistry(profile);
  using poster = new Poster(server.url, 1);
  await writeEntry(poster, entryOf(server, { id: 'seen', bytes: 100 }));
  await poster.get('/registry/head');
  const response = await fetch(server.metricsUrl);
  const page = await response.text();
  if (response.status !== 200) return [`/metrics of a ${profile} answers ${response.status}`];
  return missingMetrics(page, Object.keys(GOLDEN)).map(
    (name) => `the golden metric ${name} is missing from /metrics of a ${profile}`,
  );
}
