/** A thread that verifies signatures one after another and does nothing else. */
import { type MessagePort, parentPort } from 'node:worker_threads';
import { createBlockingVerifier } from './native-verifier.ts';
import { type SignatureBatch, type SignatureVerdict, unpackSigned } from './signature-messages.ts';

function serve(port: MessagePort): void {
  const verifier = createBlockingVerifier();
  port.on('message', ({ id, packed }: SignatureBatch) => {
    const failed = unpackSigned(packed).findIndex((signed) => !verifier.verify(signed));
    port.postMessage({ id, failed } satisfies SignatureVerdict);
  });
}

if (parentPort !== null) serve(parentPort);
