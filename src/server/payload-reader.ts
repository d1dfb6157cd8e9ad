/**
 * Reads proposed payloads. A large one takes tens of milliseconds to check, in which nothing else would be
 * answered: a thread checks those, and what it found right is only parsed here.
 */
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
    // The same bytes: what they parse to has passed every check.
    const payload = JSON.parse(decodeUtf8(bytes)) as Payload;
    return { payload, bytes, payloadB3: verdict.payloadB3, paths: split(verdict.paths) };
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

function split(paths: Uint8Array): readonly Uint8Array[] {
  return Array.from({ length: paths.length / HASH_BYTES }, (_, i) =>
    paths.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES),
  );
}
