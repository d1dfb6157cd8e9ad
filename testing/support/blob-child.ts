/** Puts two blobs into the data directory named on its command line, and prints what came of each. */
import { RegistryError } from '../../src/core/error.ts';
import { BLOBS_PUT, inPieces, openTestBlobs } from './blobs.ts';

const [dataDir = ''] = process.argv.slice(2);

function codeOf(error: unknown): string {
  return error instanceof RegistryError ? error.code : String(error);
}

try {
  const { blobs, metric } = await openTestBlobs({ dataDir });
  for (const { address, bytes } of BLOBS_PUT)
    try {
      await blobs.put(address, { parts: inPieces(bytes), declaredBytes: bytes.length });
      console.log(`kept ${address}`);
    } catch (error) {
      console.log(`refused ${codeOf(error)} ${address}`);
    }
  console.log(`counted ${await metric('registry_blobs')}`);
} catch (error) {
  console.log(`not opened ${codeOf(error)}`);
}
