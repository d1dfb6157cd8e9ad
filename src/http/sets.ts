/**
 * The descriptor set at a version, or its hashes. What fits is held whole, compressed once and cached; what
 * is larger is streamed as it is: as it was prepared, or a page at a time from the store.
 */
import { PATHS, QUERIES, readParameters, readQuery } from '../api/parameters.ts';
import { type Answer, answerBytes } from './answer.ts';
import type { BodyCache } from './body-cache.ts';
import { acceptedCodings, codedEtag, codingHeaders, type Representation } from './compress.ts';
import { matchesEtag, notModified } from './conditional.ts';
import type { HttpDeps, HttpLimits } from './deps.ts';
import type { Handler } from './exchange.ts';
import { currentHead, noSuchVersion, type Place, placeOf, setAt } from './place.ts';
import type { PreparedSet, WholeSet } from './prepared-sets.ts';
import { collectSet, hashItems, readWhole, type SetBytes, streamSet } from './set-body.ts';

/** Descriptors, or the path and value hash of each. */
type Form = 'items' | 'hashes';

interface SetKey extends WholeSet {
  readonly form: Form;
}

type SetDeps = Pick<HttpDeps, 'registry' | 'compress' | 'preparedSets'>;

/** Smaller sets are read in less time than it takes to have them prepared. */
const PREPARED_FROM = 5_000;

export interface SetRoutes {
  readonly readSet: Handler;
  readonly readSetHashes: Handler;
}

export function setRoutes(
  deps: SetDeps,
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
        ...(await setAt(deps.registry, place.version)),
        origin: currentHead(deps.registry).object.origin,
      };
      const accepted = acceptedCodings(c.req.header('Accept-Encoding'));
      const known = accepted.find((coding) =>
        matchesEtag(c.req.header('If-None-Match'), etagOf(key, coding)),
      );
      if (known !== undefined) return notModified(answerSet(null, { key, place, coding: known }));
      const [coding = 'identity'] = accepted;
      const body = await bodies.get(key, coding);
      if (body !== undefined) return answerSet(body, { key, place, coding });
      const prepared = await bodies.prepared(key);
      if (prepared !== undefined)
        return answerSet(prepared.body, {
          key,
          place,
          coding: 'identity',
          headers: { 'Content-Length': `${prepared.bytes}` },
        });
      const stream = streamSet(await bodies.open(key), key.origin);
      return answerSet(stream, { key, place, coding: 'identity' });
    };
  return { readSet: read('items'), readSetHashes: read('hashes') };
}

function etagOf({ form, setRoot, version }: SetKey, coding: Representation): string {
  return codedEtag(`${setRoot}.${version}${form === 'hashes' ? '.hashes' : ''}`, coding);
}

interface AnsweredSet {
  readonly key: SetKey;
  readonly place: Place;
  readonly coding: Representation;
  readonly headers?: Readonly<Record<string, string>>;
}

function answerSet(body: Answer['body'], { key, place, coding, headers }: AnsweredSet): Answer {
  return answerBytes(body, {
    caching: place.caching,
    etag: etagOf(key, coding),
    headers: {
      ...codingHeaders(coding),
      ...place.locate(key.form === 'hashes' ? '/set/hashes' : '/set'),
      ...headers,
    },
  });
}

class SetBodies {
  readonly #deps: SetDeps;
  readonly #maxBytes: number;
  readonly #cache: BodyCache;

  constructor(
    deps: SetDeps,
    { maxBufferedBytes }: Pick<HttpLimits, 'maxBufferedBytes'>,
    cache: BodyCache,
  ) {
    this.#deps = deps;
    this.#maxBytes = maxBufferedBytes;
    this.#cache = cache;
  }

  /** `undefined`: too large to be held. */
  async get(key: SetKey, coding: Representation): Promise<Uint8Array | undefined> {
    // What was held before an erasure is not found any more.
    const { length } = this.#deps.registry.retention().erasures;
    const nameOf = (one: Representation): string => `${etagOf(key, one)} ${length}`;
    const whole = await this.#cache.get(nameOf('identity'), () => this.#collect(key));
    if (whole === TOO_LARGE) return undefined;
    if (coding === 'identity') return whole;
    return this.#cache.get(nameOf(coding), () => this.#deps.compress[coding](whole));
  }

  /** `undefined`: to be read from the registry. */
  async prepared(key: SetKey): Promise<PreparedSet | undefined> {
    if (key.form === 'hashes' || key.size < PREPARED_FROM) return undefined;
    return await this.#deps.preparedSets?.open(key);
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
    const prepared = await this.prepared(key);
    const whole =
      prepared === undefined
        ? await collectSet(await this.open(key), key.origin, this.#maxBytes)
        : await readWhole(prepared, this.#maxBytes);
    return whole ?? TOO_LARGE;
  }
}

/** Kept in the cache in place of a body, so that a large set is measured once. */
const TOO_LARGE = new Uint8Array();
