/**
 * The answers that are ready before anybody asks: the head and its checkpoint, made when they are
 * published, and versions that were read lately. One table for everything that answers reads, so that
 * they cannot differ.
 */
import type { PublishedHead, Registry } from '../registry/registry.ts';
import type { KeptRange } from '../registry/retained.ts';
import { type Answer, answerBytes } from './answer.ts';
import { notModified } from './conditional.ts';
import { readHeaders } from './cors.ts';
import { LeastRecent } from './least-recent.ts';

export const NOTE_MEDIA_TYPE = 'text/plain; charset=utf-8';

/** A response to GET, whole but for `X-Corr-ID`, which comes after its headers. Frozen. */
export interface ReadyResponse {
  readonly status: number;
  /** Name, value, name, value; names in lower case and sorted, as `Headers` lists them. */
  readonly headers: readonly string[];
  readonly body: Uint8Array | null;
}

export interface ReadyAnswer {
  /** The path template: what metrics and logs call it. */
  readonly route: string;
  /** Quoted, strong. */
  readonly etag: string;
  readonly answer: Answer;
  readonly full: ReadyResponse;
  readonly notModified: ReadyResponse;
}

type Sources = Pick<Registry, 'head' | 'checkpoint' | 'retention'>;

export class ReadyAnswers {
  readonly #registry: Sources;
  readonly #maxBytes: number;
  #versions: LeastRecent<ReadyAnswer>;
  /** As it was when the versions were kept. */
  #retention: KeptRange;
  readonly #head = new Latest((head: PublishedHead) => headAnswer(head));
  readonly #checkpoint = new Latest(checkpointAnswer);

  /** `maxBytes`: of versions. */
  constructor(registry: Sources, maxBytes: number) {
    this.#registry = registry;
    this.#maxBytes = maxBytes;
    this.#versions = new LeastRecent(maxBytes);
    this.#retention = registry.retention();
  }

  /** By the request target as it was sent; `undefined`: none is ready. */
  find(target: string): ReadyAnswer | undefined {
    if (target === '/registry/head') return this.head();
    if (target === '/checkpoint') return this.checkpoint();
    return this.#kept.get(target);
  }

  /** `undefined` before genesis. */
  head(): ReadyAnswer | undefined {
    return this.#head.of(this.#registry.head());
  }

  /** `undefined` until one is signed. */
  checkpoint(): ReadyAnswer | undefined {
    return this.#checkpoint.of(this.#registry.checkpoint());
  }

  version(version: number): ReadyAnswer | undefined {
    return this.#kept.get(pathOf(version));
  }

  /**
   * `bytes`: of the entry at `version`, verified; it has them until more is let go of. `retention`: as it was
   * before they were read.
   */
  keepVersion(
    version: number,
    {
      bytes,
      etag,
      retention,
    }: Pick<PublishedHead, 'bytes' | 'etag'> & { readonly retention: KeptRange },
  ): ReadyAnswer {
    const answer = answerBytes(bytes, { caching: 'immutable', etag });
    const ready = readyAnswer('/registry/{version}', etag, answer);
    // Whoever writes it may keep a second form of it.
    if (retention === this.#registry.retention())
      this.#kept.keep(pathOf(version), ready, 2 * bytes.length);
    return ready;
  }

  /** None of what was let go of since. */
  get #kept(): LeastRecent<ReadyAnswer> {
    const retention = this.#registry.retention();
    if (retention !== this.#retention) {
      this.#retention = retention;
      this.#versions = new LeastRecent(this.#maxBytes);
    }
    return this.#versions;
  }
}

/** What is made of a published value, made once for each. */
class Latest<T> {
  readonly #make: (value: T) => ReadyAnswer;
  #value: T | undefined;
  #answer: ReadyAnswer | undefined;

  constructor(make: (value: T) => ReadyAnswer) {
    this.#make = make;
  }

  of(value: T | undefined): ReadyAnswer | undefined {
    if (value !== this.#value) {
      this.#answer = value === undefined ? undefined : this.#make(value);
      this.#value = value;
    }
    return this.#answer;
  }
}

function headAnswer({ bytes, etag }: PublishedHead): ReadyAnswer {
  return readyAnswer('/registry/head', etag, answerBytes(bytes, { caching: 'head', etag }));
}

function checkpointAnswer({ bytes, etag }: Pick<PublishedHead, 'bytes' | 'etag'>): ReadyAnswer {
  const answer = answerBytes(bytes, { mediaType: NOTE_MEDIA_TYPE, caching: 'head', etag });
  return readyAnswer('/checkpoint', etag, answer);
}

function readyAnswer(route: string, etag: string, answer: Answer): ReadyAnswer {
  return Object.freeze({
    route,
    etag,
    answer,
    full: readyResponse(answer),
    notModified: readyResponse(notModified(answer)),
  });
}

export function readyResponse({ status, headers, body }: Answer): ReadyResponse {
  // As `Headers` has them; a start that makes one loads all of fetch.
  const sorted = Object.entries(readHeaders(headers))
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.freeze({ status, headers: sorted.flat(), body: body as Uint8Array | null });
}

function pathOf(version: number): string {
  return `/registry/${version}`;
}
