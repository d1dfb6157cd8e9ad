/** A thread that checks large payloads and says what is wrong with them. */
import { RegistryError } from '../core/error.ts';
import { decodePayload } from '../core/payload.ts';
import { changePaths } from '../core/rules.ts';
import { answerQuestions } from './asked-thread.ts';
import { ChangeReader } from './change-reader.ts';
import type { PayloadVerdict } from './payload-reader.ts';

/** Of a payload: a millisecond of parsing. */
const PIECE_BYTES = 64 * 1024;

answerQuestions((bytes: Uint8Array): PayloadVerdict => {
  try {
    const { payload, payloadB3 } = decodePayload(bytes);
    return { payloadB3, paths: Buffer.concat(changePaths(payload)), cuts: cutsOf(bytes) };
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    const { code, message, details } = error;
    return { code, message, details };
  }
});

/** As `PayloadVerdict.cuts`. */
function cutsOf(bytes: Uint8Array): Uint32Array {
  const reader = new ChangeReader(bytes);
  const cuts: number[] = [];
  if (!reader.enter(0)) return Uint32Array.of();
  while (reader.next())
    if (reader.begin - (cuts.at(-1) ?? Number.NEGATIVE_INFINITY) >= PIECE_BYTES)
      cuts.push(reader.begin);
  return reader.isWhole ? Uint32Array.of(...cuts, reader.end + 1) : Uint32Array.of();
}
