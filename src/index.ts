/**
 * The package's face: run a registry from a program of your own.
 *
 * @example
 * import { loadConfig, startServer } from 'quorate';
 * await using server = await startServer(loadConfig({ flags: { profile: 'micronode' } }));
 * console.log(await (await fetch(`${server.url}/readyz`)).json());
 */

export { createFileTrust as fileTrust } from './cli/trust-file.ts';
export type { TrustStore } from './client/client.ts';
export type { ErrorCode } from './core/error.ts';
export { RegistryError } from './core/error.ts';
export type { SignedMessage, Verifier } from './core/verifier.ts';
export {
  type Config,
  type ConfigFile,
  type ConfigSources,
  loadConfig,
  readConfigFile,
  readConfigSources,
} from './server/config.ts';
export type { Address } from './server/config-values.ts';
export type { KeySource } from './server/key-source.ts';
export { createNativeVerifier as nativeVerifier } from './server/native-verifier.ts';
export type { RunningServer } from './server/running.ts';
export { type StartOptions, startServer } from './server/start.ts';
export type { Log, LogFields } from './telemetry/log.ts';
