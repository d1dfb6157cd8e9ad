/** One descriptor at a version, with its proof if wanted, and its history. */
import { PATHS, QUERIES, readParameters, readQuery } from '../api/parameters.ts';
import { encodeBase64 } from '../core/bytes.ts';
import { canonicalBytes } from '../core/canonical.ts';
import { RegistryError } from '../core/error.ts';
import { encodeLeaf, type Leaf } from '../core/leaf.ts';
import type { DescriptorAnswer, HistoryQuery, Registry } from '../registry/registry.ts';
import { type Answer, answerBytes } from './answer.ts';
import { askerOf } from './asker.ts';
import { matchesEtag, notModified } from './conditional.ts';
import type { HttpDeps } from './deps.ts';
import type { Handler } from './exchange.ts';
import { currentHead, noSuchVersion, placeOf } from './place.ts';
import { type Spliced, spliceObject } from './splice.ts';

export interface DescriptorRoutes {
  readonly readDescriptor: Handler;
  readonly readHistory: Handler;
}

export function descriptorRoutes(
  deps: Pick<HttpDeps, 'registry' | 'clientAddress'>,
): DescriptorRoutes {
  const { registry } = deps;
  return {
    readDescriptor: async (c) => {
      const { version, kind, id } = readParameters(PATHS.descriptor, c.req.param(), 'path');
      const isProofWanted = readQuery(QUERIES.descriptor, c.req.url).proof === '1';
      const place = placeOf(registry, version);
      const query = { version: place.version, kind, id, isProofWanted };
      const found = await registry.reader.descriptor(query, askerOf(deps, c));
      if (found === undefined) throw noSuchVersion(registry, place.version);
      if (found.bytes === null && !isProofWanted) throw absent(query);
      const isTied = isProofWanted && version === 'head';
      const tie = isTied ? await tieToCheckpoint(registry, found.leaf) : undefined;
      const { origin } = currentHead(registry).object;
      return answerBytes(encodeDescriptorAnswer(found, { origin, ...tie?.members }), {
        caching: place.caching,
        etag: etagOf(found, tie?.etag),
        // What is tied to a checkpoint is found under no number.
        ...(tie === undefined && {
          headers: place.locate(`/descriptors/${kind}/${id}${isProofWanted ? '?proof=1' : ''}`),
        }),
      });
    },
    readHistory: (c) => {
      const { kind, id } = readParameters(PATHS.history, c.req.param(), 'path');
      const query = { kind, id, ...readQuery(QUERIES.history, c.req.url) };
      return answerHistory(registry, query, c.req.header('If-None-Match'));
    },
  };
}

async function answerHistory(
  registry: Registry,
  query: HistoryQuery,
  ifNoneMatch: string | undefined,
): Promise<Answer> {
  const head = currentHead(registry);
  const { oldest } = registry.retention();
  // Taken before the read: at worst the tag is older than the answer, and a revalidation misses.
  const options = { caching: 'head', etag: `"${head.object.entry_hash}.${oldest}"` } as const;
  if (matchesEtag(ifNoneMatch, options.etag)) return notModified(answerBytes(null, options));
  const items = await registry.reader.history(query);
  const { kind, id } = query;
  const body = spliceObject({
    id,
    items: items.map(({ bytes, endVersion, setVersion, valueHash }) =>
      spliceObject({
        descriptor: bytes,
        end_version: endVersion,
        set_version: setVersion,
        value_hash: valueHash,
      }),
    ),
    kind,
    origin: head.object.origin,
  });
  return answerBytes(body, options);
}

interface Tie {
  readonly members: Readonly<Record<string, Spliced>>;
  /** Of the checkpoint with its signatures. */
  readonly etag: string;
}

/** What leads from the set root in a leaf to the checkpoint; `undefined` while none covers it. */
async function tieToCheckpoint(registry: Registry, leaf: Leaf): Promise<Tie | undefined> {
  const checkpoint = registry.checkpoint();
  if (checkpoint === undefined) return undefined;
  const { etag, note, size } = checkpoint;
  const proof = await registry.reader.inclusionProof({ version: leaf.version, size });
  if (proof === undefined) return undefined;
  const members = {
    checkpoint: note,
    inclusion_proof: proof.map(encodeBase64),
    leaf: encodeLeaf(leaf),
  };
  return { members, etag };
}

function encodeDescriptorAnswer(
  found: DescriptorAnswer,
  others: Readonly<Record<string, Spliced>>,
): Uint8Array {
  return spliceObject({
    descriptor: found.bytes,
    proof: found.proof === null ? null : canonicalBytes(found.proof),
    set_root: found.setRoot,
    set_version: found.setVersion,
    value_hash: found.valueHash,
    version: found.version,
    ...others,
  });
}

/** The set root commits to the value and to the proof; `set_version` is the one member beside it. */
function etagOf(
  { setRoot, version, setVersion, proof }: DescriptorAnswer,
  checkpointEtag?: string,
): string {
  const kind = proof === null ? '' : '.proof';
  const tie = checkpointEtag === undefined ? '' : `.${checkpointEtag.slice(1, -1)}`;
  return `"${setRoot}.${version}.${setVersion ?? 'absent'}${kind}${tie}"`;
}

function absent({
  version,
  kind,
  id,
}: {
  version: number;
  kind: string;
  id: string;
}): RegistryError {
  return new RegistryError(
    'not_found',
    `expected a descriptor ${kind}/${id} at version ${version}, got none: proof=1 proves it absent`,
    { details: { kind, id, version } },
  );
}
