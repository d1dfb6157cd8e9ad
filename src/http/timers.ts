/** What the HTTP layer needs of time. */
export interface HttpTimers {
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
  /** After what waits already. */
  soon(run: () => void): void;
}
