/** The thread that verifies a snapshot, so that the one that serves is never held: says what it found, and ends. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { RegistryError } from '../../core/error.ts';
import { createNativeVerifier } from '../native-verifier.ts';
import type { VerifyReport } from './snapshot-messages.ts';
import { verifyCopy } from './verify-copy.ts';

async function verify(port: MessagePort, path: string): Promise<void> {
  const report = (message: VerifyReport): void => port.postMessage(message);
  try {
    const onProgress = (done: number, total: number) => report({ type: 'progress', done, total });
    const verifier = createNativeVerifier();
    report({ type: 'verified', copy: await verifyCopy(path, { verifier, onProgress }) });
  } catch (error) {
    const code = error instanceof RegistryError ? error.code : 'internal';
    report({ type: 'failed', code, message: error instanceof Error ? error.message : `${error}` });
  }
}

if (parentPort !== null) void verify(parentPort, workerData as string);
