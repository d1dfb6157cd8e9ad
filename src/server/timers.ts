/** Node's timers as the layers below want them: handed in, and opaque. */

export const TIMERS = {
  setTimeout: (run: () => void, ms: number): unknown => setTimeout(run, ms),
  clearTimeout: (timer: unknown): void => clearTimeout(timer as NodeJS.Timeout),
  soon: (run: () => void): void => void setImmediate(run),
};
