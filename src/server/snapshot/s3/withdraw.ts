/** What was uploaded and failed its check is taken away again: ours alone, known by what its upload called itself. */
import { RegistryError } from '../../../core/error.ts';
import { ask, type Bucket, find, objectOf } from './bucket.ts';

export interface Uploaded {
  readonly name: string;
  /** Of the upload. */
  readonly token: string;
}

/** Whoever interrupted it waits so long at most. */
const WITHDRAW_MS = 10_000;

/** Also when the signal has fired. Answers what is to be thrown: `cause`, which says so should what failed still be there. */
export async function withdrawn(
  bucket: Bucket,
  uploaded: Uploaded,
  cause: unknown,
): Promise<unknown> {
  try {
    await withdraw({ ...bucket, signal: AbortSignal.timeout(WITHDRAW_MS) }, uploaded);
    return cause;
  } catch (error) {
    const both = new SuppressedError(error, cause);
    if (!(cause instanceof RegistryError)) return both;
    const { code, message, details } = cause;
    return new RegistryError(
      code,
      `${message}; it could not be taken away again: remove ${uploaded.name} from ${bucket.description}`,
      { cause: both, details },
    );
  }
}

async function withdraw(bucket: Bucket, { name, token }: Uploaded): Promise<void> {
  if ((await find(bucket, name))?.upload !== token) return;
  await ask(bucket, `to remove ${name} from ${bucket.description}`, (options) =>
    bucket.client.deleteObject(objectOf(bucket, name), options),
  );
}
