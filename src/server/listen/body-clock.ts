/**
 * How long the body of a request may take to come. Most have a time for the whole of it; an upload, which
 * may be of any length, must keep coming.
 */
import type { IncomingMessage } from 'node:http';

/** What an upload must keep up with, also on a slow line. */
const MIN_BYTES_PER_SECOND = 16 * 1024;
const TICK_MS = 1_000;

export interface BodyClockOptions {
  /** For all of a body; of an upload, how far it may fall behind. */
  readonly graceMs: number;
  readonly isUpload: boolean;
  /** Once, while the body has not come. */
  readonly onLate: () => void;
}

/** To be called as soon as the headers have come. */
export function watchBody(
  request: IncomingMessage,
  { graceMs, isUpload, onLate }: BodyClockOptions,
): void {
  if (!mayHaveBody(request)) return;
  const timer = isUpload
    ? watchUpload(request, { graceMs, onLate })
    : setTimeout(() => {
        if (!request.complete) onLate();
      }, graceMs);
  request.once('close', () => clearTimeout(timer));
}

function watchUpload(
  request: IncomingMessage,
  { graceMs, onLate }: Omit<BodyClockOptions, 'isUpload'>,
): NodeJS.Timeout {
  const { socket } = request;
  const tickMs = Math.min(TICK_MS, graceMs);
  let before = socket.bytesRead;
  let leftMs = graceMs;
  const timer = setInterval(() => {
    const came = socket.bytesRead - before;
    before = socket.bytesRead;
    // What has come and was not taken waits for us: that time is not the sender's.
    if (request.complete || request.readableLength > 0) return;
    // Who was quick before gets no more than the grace for it.
    leftMs = Math.min(graceMs, leftMs - tickMs + (came / MIN_BYTES_PER_SECOND) * 1000);
    if (leftMs > 0) return;
    clearInterval(timer);
    onLate();
  }, tickMs);
  return timer;
}

function mayHaveBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
