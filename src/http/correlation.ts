/** `X-Corr-ID`: names one request in its answer, its log lines and its problem. */

export const CORR_ID_HEADER = 'X-Corr-ID';

/** The client's own id when it is well formed, else a new one. */
export function correlationOf(header: string | undefined, newCorrId: () => string): string {
  return header !== undefined && /^[A-Za-z0-9-]{1,64}$/.test(header) ? header : newCorrId();
}
