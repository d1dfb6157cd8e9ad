/**
 * The descriptor set at a version, or its hashes. What fits is held whole, compressed once and cached; what
 * is larger is streamed as it is: as it was prepared, or a page at a time from the store.
 */
import { PATHS, QUERIES, readParameters, readQuery } from '../api/parameters.ts';
import { cleanedUp, RegistryError } from '../core/error.ts';
import type { Asker } from '../registry/registry.ts';
import { Slots } from '../registry/slots.ts';
import { type Answer, answerBytes } from './answer.ts';
import { askerOf } from './asker.ts';
import type { BodyCache } from './body-cache.ts';
import { acceptedCodings, codedEtag, codingHeaders, type Representation } from './compress.ts';
import { matchesEtag, notModified } from './conditional.ts';
import type { Coding, HttpDeps, HttpLimits } from './deps.ts';
import type { Handler } from './exchange.ts';
import { heldBody } from './held-body.ts';
import { currentHead, noSuchVersion, type Place, placeOf, setAt } from './place.ts';
import type { PreparedSet, WholeSet } from './prepared-sets.ts';
import { collectSet, hashItems, readWhole, type SetBytes, streamSet } from './set-body.ts';

/** Descriptors, or the path and value hash of each. */
type Form = 'items' | 'hashes';

interface SetKey extends WholeSet {
  readonly form: Form;
}

type SetDeps = Pick<
  HttpDeps,
  'registry' | 'compress' | 'preparedSets' | 'clientAddress' | 'timers' | 'hangUp'
>;

type SetLimits = Pick<HttpLimits, 'maxBufferedBytes' | 'maxSetReads' | 'maxSetReadsPerAddress'>;

/** Smaller sets are read in less time than it takes to have them prepared. */
const PREPARED_FROM = 5_000;

export interface SetRoutes {
  readonly readSet: Handler;
  readonly readSetHashes: Handler;
}

export function setRoutes(deps: SetDeps, limits: SetLimits, cache: BodyCache): SetRoutes {
  const bodies = new SetBodies(deps, limits, cache);
  const slots = new Slots(
    () => ({ inAll: limits.maxSetReads, perAddress: limits.maxSetReadsPerAddress }),
    (limit, scope) =>
      new RegistryError(
        'overloaded',
        `expected at most ${limit} sets being sent ${scope}, got one more: repeat it later`,
        { details: { reason: 'sets', limit } },
      ),
  );
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
      // What has lost a value is refused below, also to who has it.
      const isRefused = form === 'items' && !deps.registry.reader.isWholeSet(key.version);
      const known = accepted.find(
        (coding) => !isRefused && matchesEtag(c.req.header('If-None-Match'), etagOf(key, coding)),
      );
      if (known !== undefined) return notModified(answerSet(null, { key, place, coding: known }));
      const [coding = 'identity'] = accepted;
      // As it is, a set that stands in a file need not be held too.
      const asIs = coding === 'identity' ? await bodies.prepared(key) : undefined;
      const asker = askerOf(deps, c);
      const body = asIs === undefined ? await bodies.get(key, coding, asker) : undefined;
      if (body !== undefined) return answerSet(body, { key, place, coding });
      const prepared = coding === 'identity' ? asIs : await bodies.prepared(key);
      const take = () => slots.take(deps.clientAddress(c));
      const hangUp = () => deps.hangUp(c);
      const pieces = await bodies.pieces(key, { prepared, take, asker, hangUp });
      return answerPieces(pieces, { key, place, prepared });
    };
  return { readSet: read('items'), readSetHashes: read('hashes') };
}

function etagOf({ form, setRoot, version }: SetKey, coding: Representation): string {
  return codedEtag(`${setRoot}.${version}${form === 'hashes' ? '.hashes' : ''}`, coding);
}

function answerPieces(
  body: ReadableStream<Uint8Array>,
  {
    key,
    place,
    prepared,
  }: Pick<AnsweredSet, 'key' | 'place'> & { readonly prepared: PreparedSet | undefined },
): Answer {
  const headers = prepared === undefined ? {} : { 'Content-Length': `${prepared.bytes}` };
  return { ...answerSet(body, { key, place, coding: 'identity', headers }), isGivenAway: true };
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

type Pieces = ReadableStream<Uint8Array>;

interface Sending {
  readonly prepared: PreparedSet | undefined;
  /** Answers how to give it back. */
  readonly take: () => () => void;
  readonly asker: Asker;
  readonly hangUp: () => void;
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
  async get(
    key: SetKey,
    coding: Representation,
    { address }: Asker,
  ): Promise<Uint8Array | undefined> {
    // Others may wait for the same body: it is made also when the first has hung up.
    const asker = { address };
    const body =
      coding === 'identity'
        ? await this.#held(key, asker)
        : await this.#cache.get(this.#nameOf(key, coding), () =>
            this.#compressed(key, coding, asker),
          );
    return body === TOO_LARGE ? undefined : body;
  }

  /** As it was prepared, or from the registry; its place is kept until it has gone. Throws what `take` throws. */
  async pieces(key: SetKey, { prepared, take, asker, hangUp }: Sending): Promise<Pieces> {
    let release = (): void => undefined;
    try {
      release = take();
      // From the registry it holds the tree of its version until the last page was taken.
      const body = prepared?.body ?? streamSet(await this.#open(key, asker), key.origin);
      return heldBody(body, { release, hangUp, timers: this.#deps.timers });
    } catch (error) {
      release();
      throw await cleanedUp(error, async () => prepared?.body.cancel());
    }
  }

  /** `undefined`: to be read from the registry. */
  async prepared(key: SetKey): Promise<PreparedSet | undefined> {
    if (key.form === 'hashes' || key.size < PREPARED_FROM) return undefined;
    const { preparedSets, registry } = this.#deps;
    return registry.reader.isWholeSet(key.version) ? await preparedSets?.open(key) : undefined;
  }

  async #open({ form, version }: SetKey, asker: Asker): Promise<SetBytes> {
    const { registry } = this.#deps;
    if (form === 'items') {
      const set = await registry.reader.set(version, asker);
      if (set !== undefined) return set;
    } else {
      const set = await registry.reader.setHashes(version, asker);
      if (set !== undefined) return { ...set, pages: hashItems(set.leaves) };
    }
    throw noSuchVersion(registry, version);
  }

  /** What was held before an erasure is not found any more. */
  #nameOf(key: SetKey, coding: Representation): string {
    return `${etagOf(key, coding)} ${this.#deps.registry.retention().erasures.length}`;
  }

  async #compressed(key: SetKey, coding: Coding, asker: Asker): Promise<Uint8Array> {
    const prepared = await this.prepared(key);
    const whole =
      prepared === undefined
        ? await this.#held(key, asker)
        : await readWhole(prepared, this.#maxBytes);
    if (whole === undefined || whole === TOO_LARGE) return TOO_LARGE;
    return await this.#deps.compress[coding](whole);
  }

  #held(key: SetKey, asker: Asker): Promise<Uint8Array> {
    return this.#cache.get(
      this.#nameOf(key, 'identity'),
      async () =>
        (await collectSet(await this.#open(key, asker), key.origin, this.#maxBytes)) ?? TOO_LARGE,
    );
  }
}

/** Kept in the cache in place of a body, so that a large set is measured once. */
const TOO_LARGE = new Uint8Array();
