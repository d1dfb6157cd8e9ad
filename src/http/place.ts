/** Which version a URL names, and what that means for caching. */
import type { Caching } from '../api/caching.ts';
import { RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import type { PublishedCheckpoint, PublishedHead, Registry } from '../registry/registry.ts';

export interface Place {
  readonly version: number;
  readonly caching: Caching;
  /** `Content-Location` of what stands at `rest` below the version, for answers under `head`. */
  locate(rest: string): Readonly<Record<string, string>>;
}

/** Throws `not_initialised` for `head` before genesis; whether a number exists is the reader's answer. */
export function placeOf(registry: Registry, version: number | 'head'): Place {
  if (version !== 'head') return { version, caching: 'immutable', locate: () => ({}) };
  const head = currentHead(registry);
  return {
    version: head.version,
    caching: 'head',
    locate: (rest) => ({ 'Content-Location': `/registry/${head.version}${rest}` }),
  };
}

export function currentHead(registry: Registry): PublishedHead {
  const head = registry.head();
  if (head === undefined) throw notInitialised();
  return head;
}

export function notInitialised(): RegistryError {
  return new RegistryError(
    'not_initialised',
    'expected a registry with a head, got one without a genesis',
  );
}

export function noSuchVersion(registry: Registry, version: number): RegistryError {
  const head = registry.head();
  return new RegistryError(
    'not_found',
    `expected a version up to the head (${head?.version ?? 'there is none'}), got ${version}`,
    { details: { head: head?.version ?? null } },
  );
}

/**
 * Read it once for an answer, so that the answer is about one checkpoint. Throws `not_found`: C2SP
 * knows no other answer of a log that has none yet.
 */
export function currentCheckpoint(registry: Registry): PublishedCheckpoint {
  const checkpoint = registry.checkpoint();
  if (checkpoint === undefined) throw noCheckpoint(registry);
  return checkpoint;
}

export function noCheckpoint(registry: Registry): RegistryError {
  const why =
    registry.head() === undefined
      ? 'the registry has no genesis'
      : 'no log key of the governance has signed one here';
  return new RegistryError('not_found', `expected a signed checkpoint, got none: ${why}`);
}

/** Costs no tree: an ETag must be cheaper than the answer it stands for. */
export async function setAt(
  registry: Registry,
  version: number,
): Promise<{ readonly setRoot: Hash; readonly size: number }> {
  const head = registry.head();
  if (head?.version === version)
    return { setRoot: head.object.set_root, size: head.object.set_size };
  const leaf = await registry.reader.keptLeaf(version);
  if (leaf === undefined) throw noSuchVersion(registry, version);
  return { setRoot: leaf.set_root, size: leaf.set_size };
}
