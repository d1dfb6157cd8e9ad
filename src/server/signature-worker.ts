/** A thread that verifies signatures one after another and does nothing else. */
import { answerQuestions } from './asked-thread.ts';
import { createBlockingVerifier } from './native-verifier.ts';
import { unpackSigned } from './signature-messages.ts';

const verifier = createBlockingVerifier();
answerQuestions((packed: Uint8Array) =>
  unpackSigned(packed).findIndex((signed) => !verifier.verify(signed)),
);
