/** What is measured starts: a benchmark that cannot is noticed here, not in the night. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startRegistry } from './registry-process.ts';

for (const profile of ['micronode', 'macronode'] as const)
  test(`a ${profile} begins its registry and can be read`, async () => {
    await using server = await startRegistry(profile);
    const response = await fetch(`${server.url}/registry/head`);
    assert.equal(((await response.json()) as { version: number }).version, 0);
  });
