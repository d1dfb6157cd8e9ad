/** Trusted state for as long as the process lives. A deployer that restarts wants a file instead. */
import type { TrustStore } from './client.ts';

/** `initial`: text that another trust store saved. */
export function memoryTrust(initial?: string): TrustStore {
  let state = initial;
  return {
    load: async () => state,
    save: async (text) => {
      state = text;
    },
  };
}
