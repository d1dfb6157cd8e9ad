/** A thread that checks large payloads and says what is wrong with them. */
import { RegistryError } from '../core/error.ts';
import { decodePayload } from '../core/payload.ts';
import { changePaths } from '../core/rules.ts';
import { answerQuestions } from './asked-thread.ts';
import type { PayloadVerdict } from './payload-reader.ts';

answerQuestions((bytes: Uint8Array): PayloadVerdict => {
  try {
    const { payload, payloadB3 } = decodePayload(bytes);
    return { payloadB3, paths: Buffer.concat(changePaths(payload)) };
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    const { code, message, details } = error;
    return { code, message, details };
  }
});
