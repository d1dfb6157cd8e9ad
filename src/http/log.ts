/** What C2SP tlog-tiles serves: the checkpoint, tiles and entry bundles, by their exact names. */
import { PATHS, QUERIES, readParameters, readQuery } from '../api/parameters.ts';
import { excerpt, RegistryError } from '../core/error.ts';
import { hashOf } from '../core/hash.ts';
import { parseTileName } from '../core/tlog/tiles.ts';
import type { Registry } from '../registry/registry.ts';
import { type Answer, answerBytes } from './answer.ts';
import type { BodyCache } from './body-cache.ts';
import { acceptedCodings, codedEtag, codingHeaders, type Representation } from './compress.ts';
import { matchesEtag, notModified } from './conditional.ts';
import type { HttpDeps } from './deps.ts';
import type { Handler } from './exchange.ts';
import { currentCheckpoint, noCheckpoint } from './place.ts';
import type { ReadyAnswers } from './ready-answers.ts';

export interface LogRoutes {
  readonly readCheckpoint: Handler;
  readonly readTile: Handler;
  readonly readEntryBundle: Handler;
}

export function logRoutes(
  { registry, compress }: Pick<HttpDeps, 'registry' | 'compress'>,
  { bodies, ready }: { readonly bodies: BodyCache; readonly ready: ReadyAnswers },
): LogRoutes {
  return {
    readCheckpoint: (c) => {
      readQuery(QUERIES.none, c.req.url);
      const checkpoint = ready.checkpoint();
      if (checkpoint === undefined) throw noCheckpoint(registry);
      return checkpoint.answer;
    },
    readTile: async (c) => {
      readQuery(QUERIES.none, c.req.url);
      readParameters(PATHS.tile, c.req.param(), 'path');
      const bytes = await readTile(registry, c.req.url);
      return answerTile(bytes, { hash: hashOf(bytes), coding: 'identity' });
    },
    readEntryBundle: async (c) => {
      readQuery(QUERIES.none, c.req.url);
      readParameters(PATHS.bundle, c.req.param(), 'path');
      const bytes = await readTile(registry, c.req.url);
      const hash = hashOf(bytes);
      const accepted = acceptedCodings(c.req.header('Accept-Encoding'));
      const known = accepted.find((coding) =>
        matchesEtag(c.req.header('If-None-Match'), codedEtag(hash, coding)),
      );
      if (known !== undefined) return notModified(answerBundle(null, { hash, coding: known }));
      const [coding = 'identity'] = accepted;
      if (coding === 'identity') return answerBundle(bytes, { hash, coding });
      const body = await bodies.get(`bundle ${codedEtag(hash, coding)}`, () =>
        compress[coding](bytes),
      );
      return answerBundle(body, { hash, coding });
    },
  };
}

/**
 * Reads by the path as it was sent, for a tile has one name: what would have to be unescaped first is
 * another. Throws `not_found` for every name without a tile, as tlog-tiles asks.
 */
async function readTile(registry: Registry, url: string): Promise<Uint8Array> {
  const { pathname } = new URL(url);
  const name = parseTileName(pathname.slice('/tile/'.length));
  const { size } = currentCheckpoint(registry);
  const bytes = name === undefined ? undefined : await registry.reader.tile(name);
  if (bytes !== undefined) return bytes;
  throw new RegistryError(
    'not_found',
    `expected a tile of the checkpoint of ${size} leaves, got ${excerpt(pathname)}`,
    { details: { checkpoint_size: size } },
  );
}

interface TileBody {
  /** Of the tile itself, whatever its coding. */
  readonly hash: string;
  readonly coding: Representation;
}

/** Tagged by its bytes, not by its name: another log may once stand behind the same URL. */
function answerTile(body: Answer['body'], { hash, coding }: TileBody): Answer {
  return answerBytes(body, {
    mediaType: 'application/octet-stream',
    caching: 'immutable',
    etag: codedEtag(hash, coding),
  });
}

function answerBundle(body: Answer['body'], tile: TileBody): Answer {
  const answer = answerTile(body, tile);
  return { ...answer, headers: { ...answer.headers, ...codingHeaders(tile.coding) } };
}
