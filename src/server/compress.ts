/** Content codings on the thread pool. Each is used once for an immutable body, so size goes before speed. */
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip, zstdCompress } from 'node:zlib';
import type { Compress } from '../http/deps.ts';

const brotli = promisify(brotliCompress);
const zstd = promisify(zstdCompress);
const gzipped = promisify(gzip);

export const COMPRESS: Compress = {
  br: (bytes) =>
    brotli(bytes, {
      params: {
        // 5 is where brotli passes gzip in size at gzip's speed.
        [constants.BROTLI_PARAM_QUALITY]: 5,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      },
    }),
  zstd: (bytes) => zstd(bytes),
  gzip: (bytes) => gzipped(bytes),
};
