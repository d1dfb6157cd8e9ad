/**
 * Reads proposed payloads. A large one takes tens of milliseconds to check, in which nothing else would be
 * answered: a thread checks those, and what it found right is only parsed here.
 */
import { setImmediate } from 'node:timers/promises';
import { decodeUtf8 } from '../core/bytes.ts';
import { type ErrorCode, RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import { decodePayload, type Payload } from '../core/payload.ts';
import type { ReadPayload } from '../registry/options.ts';
import { AskedThread } from './asked-thread.ts';

// A millisecond of checking: above, asking a thread costs less.
const LARGE_BYTES = 32 * 1024;
const HASH_BYTES = 32;

/** Of the thread: the hash and the paths, or what `decodePayload` throws. */
export type PayloadVerdict =
  | {
      readonly payloadB3: Hash;
      /** `changePaths`, one after the other: thousands of arrays take long to hand over. */
      readonly paths: Uint8Array;
      /** Where pieces of the list of changes begin, and last the place after the list; empty: it has none. */
      readonly cuts: Uint32Array;
    }
  | {
      readonly code: ErrorCode;
      readonly message: string;
      readonly details: RegistryError['details'];
    };

export class PayloadReader implements AsyncDisposable {
  #thread: AskedThread<Uint8Array, PayloadVerdict> | undefined;

  /** As `decodePayload`. */
  async decode(bytes: Uint8Array): Promise<ReadPayload> {
    if (bytes.length < LARGE_BYTES) return decodePayload(bytes);
    const verdict = await this.#askable().ask(bytes);
    if ('code' in verdict)
      throw new RegistryError(verdict.code, verdict.message, { details: verdict.details });
    return { ...(await parse(bytes, verdict)), bytes, payloadB3: verdict.payloadB3 };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread?.[Symbol.asyncDispose]();
  }

  /** Started when it is first needed: many registries never are. */
  #askable(): AskedThread<Uint8Array, PayloadVerdict> {
    if (this.#thread === undefined || this.#thread.hasEnded)
      this.#thread = new AskedThread({
        file: 'payload-worker',
        name: 'payloads',
        does: 'checks payloads',
      });
    return this.#thread;
  }
}

/**
 * The same bytes, so what they parse to has passed every check. A piece after the other: ten thousand changes
 * take tens of milliseconds, in which others have their turns.
 */
async function parse(
  bytes: Uint8Array,
  { cuts, paths }: Extract<PayloadVerdict, { payloadB3: Hash }>,
): Promise<Pick<ReadPayload, 'payload' | 'paths'>> {
  const [first, ...ends] = cuts;
  const end = ends.at(-1);
  if (first === undefined || end === undefined)
    return { payload: JSON.parse(decodeUtf8(bytes)) as Payload };
  const changes: unknown[] = [];
  const split: Uint8Array[] = [];
  let begin = first;
  for (const next of ends) {
    // The byte between is a comma, or the end of the list.
    const piece = decodeUtf8(bytes.subarray(begin, next - 1));
    for (const change of JSON.parse(`[${piece}]`) as unknown[]) {
      const at = changes.push(change) * HASH_BYTES;
      split.push(paths.subarray(at - HASH_BYTES, at));
    }
    begin = next;
    await setImmediate();
  }
  const rest = decodeUtf8(bytes.subarray(end - 1));
  return { payload: { ...JSON.parse(`{"changes":[${rest}`), changes } as Payload, paths: split };
}
