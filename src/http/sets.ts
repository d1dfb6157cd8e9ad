/**
 * The descriptor set at a version, or its hashes. What fits is held whole, compressed once and cached; a
 * larger set is streamed from the store as it is, a page at a time.
 */
import { PATHS, QUERIES, readParameters, readQuery } from '../api/parameters.ts';
import type { Hash } from '../core/hash.ts';
import { type Answer, answerBytes } from './answer.ts';
import type { BodyCache } from './body-cache.ts';
import { acceptedCodings, codedEtag, codingHeaders, type Representation } from './compress.ts';
import { matchesEtag, notModified } from './conditional.ts';
import type { HttpDeps, HttpLimits } from './deps.ts';
import type { Handler } from './exchange.ts';
import { currentHead, noSuchVersion, type Place, placeOf, setRootAt } from './place.ts';
import { collectSet, hashItems, type SetBytes, streamSet } from './set-body.ts';

/** Descriptors, or the path and value hash of each. */
type Form = 'items' | 'hashes';

interface SetKey {
  readonly form: Form;
  readonly version: number;
  readonly setRoot: Hash;
}

export interface SetRoutes {
  readonly readSet: Handler;
  readonly readSetHashes: Handler;
}

export function setRoutes(
  deps: Pick<HttpDeps, 'registry' | 'compress'>,
  limits: Pick<HttpLimits, 'maxBufferedBytes'>,
  cache: BodyCache,
): SetRoutes {
  const bodies = new SetBodies(deps, limits, cache);
  const read =
    (form: Form): Handler =>
    async (c) => {
      readQuery(QUERIES.none, c.req.url);
      const { version } = readParameters(PATHS.versionOrHead, c.req.param(), 'path');
      const place = placeOf(deps.registry, version);
      const key = {
        form,
        version: place.version,
        setRoot: await setRootAt(deps.registry, place.version),
      };
      const accepted = acceptedCodings(c.req.header('Accept-Encoding'));
      const known = accepted.find((coding) =>
        matchesEtag(c.req.header('If-None-Match'), etagOf(key, coding)),
      );
      if (known !== undefined) return notModified(answerSet(null, { key, place, coding: known }));
      const [coding = 'identity'] = accepted;
      const body = await bodies.get(key, coding);
      if (body !== undefined) return answerSet(body, { key, place, coding });
      const stream = streamSet(await bodies.open(key), currentHead(deps.registry).object.origin);
      return answerSet(stream, { key, place, coding: 'identity' });
    };
  return { readSet: read('items'), readSetHashes: read('hashes') };
}

function etagOf({ form, setRoot, version }: SetKey, coding: Representation): string {
  return codedEtag(`${setRoot}.${version}${form === 'hashes' ? '.hashes' : ''}`, coding);
}

function answerSet(
  body: Answer['body'],
  { key, place, coding }: { key: SetKey; place: Place; coding: Representation },
): Answer {
  return answerBytes(body, {
    caching: place.caching,
    etag: etagOf(key, coding),
    headers: {
      ...codingHeaders(coding),
      ...place.locate(key.form === 'hashes' ? '/set/hashes' : '/set'),
    },
  });
}

class SetBodies {
  readonly #deps: Pick<HttpDeps, 'registry' | 'compress'>;
  readonly #maxBytes: number;
  readonly #cache: BodyCache;

  constructor(
    deps: Pick<HttpDeps, 'registry' | 'compress'>,
    { maxBufferedBytes }: Pick<HttpLimits, 'maxBufferedBytes'>,
    cache: BodyCache,
  ) {
    this.#deps = deps;
    this.#maxBytes = maxBufferedBytes;
    this.#cache = cache;
  }

  /** `undefined`: too large to be held. */
  async get(key: SetKey, coding: Representation): Promise<Uint8Array | undefined> {
    const whole = await this.#cache.get(etagOf(key, 'identity'), () => this.#collect(key));
    if (whole === TOO_LARGE) return undefined;
    if (coding === 'identity') return whole;
    return this.#cache.get(etagOf(key, coding), () => this.#deps.compress[coding](whole));
  }

  async open({ form, version }: SetKey): Promise<SetBytes> {
    const { registry } = this.#deps;
    if (form === 'items') {
      const set = await registry.reader.set(version);
      if (set !== undefined) return set;
    } else {
      const set = await registry.reader.setHashes(version);
      if (set !== undefined) return { ...set, pages: hashItems(set.leaves) };
    }
    throw noSuchVersion(registry, version);
  }

  async #collect(key: SetKey): Promise<Uint8Array> {
    const { origin } = currentHead(this.#deps.registry).object;
    return (await collectSet(await this.open(key), origin, this.#maxBytes)) ?? TOO_LARGE;
  }
}

/** Kept in the cache in place of a body, so that a large set is measured once. */
const TOO_LARGE = new Uint8Array();
