/** Proofs about the tree of the log, for readers who do not make them from tiles. */
import type { Caching } from '../api/caching.ts';
import { PATHS, QUERIES, readParameters, readQuery } from '../api/parameters.ts';
import { encodeBase64, encodeUtf8 } from '../core/bytes.ts';
import { canonicalBytes } from '../core/canonical.ts';
import { RegistryError } from '../core/error.ts';
import { hashOf } from '../core/hash.ts';
import { encodeProofFile } from '../core/tlog/proof-file.ts';
import type { PublishedCheckpoint, Registry } from '../registry/registry.ts';
import { type Answer, answerBytes } from './answer.ts';
import type { Handler } from './exchange.ts';
import { currentCheckpoint, placeOf } from './place.ts';
import { NOTE_MEDIA_TYPE } from './ready-answers.ts';

export interface ProofRoutes {
  readonly readInclusionProof: Handler;
  readonly findInclusionProof: Handler;
  readonly readConsistencyProof: Handler;
  readonly readProofFile: Handler;
}

export function proofRoutes(registry: Registry): ProofRoutes {
  return {
    readInclusionProof: async (c) => {
      readQuery(QUERIES.none, c.req.url);
      const place = readParameters(PATHS.inclusion, c.req.param(), 'path');
      return answerProof(await inclusionOf(registry, place, currentCheckpoint(registry)));
    },
    findInclusionProof: async (c) => {
      const { version } = readParameters(PATHS.version, c.req.param(), 'path');
      const checkpoint = currentCheckpoint(registry);
      const { size = checkpoint.size } = readQuery(QUERIES.inclusion, c.req.url);
      const proof = await inclusionOf(registry, { version, size }, checkpoint);
      return answerProof(proof, {
        caching: 'none',
        headers: { 'Content-Location': `/registry/proof/inclusion/${version}/${size}` },
      });
    },
    readConsistencyProof: async (c) => {
      readQuery(QUERIES.none, c.req.url);
      const { from, size } = readParameters(PATHS.consistency, c.req.param(), 'path');
      const checkpoint = currentCheckpoint(registry);
      const proof = await registry.reader.consistencyProof({ from, size });
      if (proof === undefined) throw beyond(`${from} <= ${size}`, checkpoint);
      return answerProof({ from, proof: proof.map(encodeBase64), size });
    },
    readProofFile: async (c) => {
      readQuery(QUERIES.none, c.req.url);
      const { version } = readParameters(PATHS.versionOrHead, c.req.param(), 'path');
      const place = placeOf(registry, version);
      const { version: index } = place;
      const checkpoint = currentCheckpoint(registry);
      const { note, size } = checkpoint;
      const proof = await registry.reader.inclusionProof({ version: index, size });
      if (proof === undefined) throw beyond(`${index} < ${size}`, checkpoint);
      return answerBytes(encodeUtf8(encodeProofFile({ index, proof, note })), {
        mediaType: NOTE_MEDIA_TYPE,
        caching: 'head',
        etag: `"${checkpoint.etag.slice(1, -1)}.${index}"`,
        headers: place.locate('/tlog-proof'),
      });
    },
  };
}

async function inclusionOf(
  registry: Registry,
  { version, size }: { readonly version: number; readonly size: number },
  checkpoint: PublishedCheckpoint,
): Promise<object> {
  const proof = await registry.reader.inclusionProof({ version, size });
  if (proof === undefined) throw beyond(`${version} < ${size}`, checkpoint);
  return { leaf_index: version, proof: proof.map(encodeBase64), size };
}

function answerProof(
  proof: object,
  options: {
    readonly caching?: Caching;
    readonly headers?: Readonly<Record<string, string>>;
  } = {},
): Answer {
  const body = canonicalBytes(proof);
  return answerBytes(body, { caching: 'immutable', etag: `"${hashOf(body)}"`, ...options });
}

function beyond(got: string, { size }: Pick<PublishedCheckpoint, 'size'>): RegistryError {
  return new RegistryError(
    'not_found',
    `expected leaves and sizes within the checkpoint of ${size} leaves, got ${got}`,
    { details: { checkpoint_size: size } },
  );
}
