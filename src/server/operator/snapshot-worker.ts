/** The thread that verifies a snapshot, so that the one that serves is never held. */
import { createNativeVerifier } from '../native-verifier.ts';
import { reportOutcome } from '../reporting-thread.ts';
import { verifyCopy } from './verify-copy.ts';

reportOutcome((path: string, onProgress) =>
  verifyCopy(path, {
    verifier: createNativeVerifier(),
    onProgress: (done, total) => onProgress({ done, total }),
  }),
);
