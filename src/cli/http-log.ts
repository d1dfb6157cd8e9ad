/** A log as a service serves it: its C2SP routes and its entries, read strictly and believed by nobody yet. */
import { Answers } from '../client/answers.ts';
import { systemClock } from '../client/clock.ts';
import { Transport } from '../client/transport.ts';
import { decodeBase64, decodeUtf8 } from '../core/bytes.ts';
import { parseCanonical } from '../core/canonical.ts';
import { Check } from '../core/check.ts';
import type { EntryBytes } from '../core/leaf.ts';
import { MAX_NOTE_CHARACTERS } from '../core/tlog/note.ts';
import type { Context } from './context.ts';
import type { LogSource } from './log-source.ts';

const TIMEOUT_MS = 30_000;
const MAX_ATTEMPTS = 4;
const MAX_PROOF_BYTES = 16 * 1024;

const check = new Check('unexpected_answer');

export function createTransport({ io, globals }: Pick<Context, 'io' | 'globals'>): Transport {
  return new Transport({
    url: globals.url,
    fetch: io.fetch ?? globalThis.fetch,
    clock: systemClock(io.now),
    timeoutMs: TIMEOUT_MS,
    maxAttempts: MAX_ATTEMPTS,
  });
}

export function openHttpLog(context: Pick<Context, 'io' | 'globals'>): LogSource {
  const transport = createTransport(context);
  const answers = new Answers(transport);
  // A search for governance entries comes back to the same ones.
  const entries = new Map<number, Promise<EntryBytes>>();
  return {
    note: () => readNote(transport),
    entry: (version) => {
      const known = entries.get(version) ?? answers.entry(version).then(({ bytes }) => bytes);
      entries.set(version, known);
      return known;
    },
    inclusionProof: async ({ version, size }) => {
      const path = `/registry/proof/inclusion/${version}/${size}`;
      const options = { maxBytes: MAX_PROOF_BYTES, accept: 'json' } as const;
      const { bytes } = await transport.get(path, options);
      const { proof } = check.object(parseCanonical(bytes), '');
      return check
        .array(proof, '/proof', { min: 0, max: 63 })
        .map((hash, i) => decodeBase64(check.base64(hash, `/proof/${i}`, 32)))
        .filter((hash) => hash !== undefined);
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/** `GET /checkpoint`, past every cache on the way. */
export async function readNote(transport: Transport): Promise<string> {
  const options = { maxBytes: MAX_NOTE_CHARACTERS * 2, accept: 'plain', isFresh: true } as const;
  const { bytes } = await transport.get('/checkpoint', options);
  return decodeUtf8(bytes);
}
