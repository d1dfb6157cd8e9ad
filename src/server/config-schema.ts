/**
 * Every setting of a server, in one strict schema: how its value is written, its default, what it
 * means and which metric shows it. CONFIG.md is compared with it by a test. Governance and
 * quorum are not settings: they are committed, never configured.
 */
import { z } from 'zod';
import { ACCESS } from './settings/access.ts';
import { BLOBS } from './settings/blobs.ts';
import { LIMITS } from './settings/limits.ts';
import { PLACE } from './settings/place.ts';
import { RETENTION } from './settings/retention.ts';
import { infoOf, type SettingInfo } from './settings/setting.ts';
import { SIGNING } from './settings/signing.ts';

export const configSchema = z.strictObject({
  ...PLACE,
  ...SIGNING,
  ...ACCESS,
  ...BLOBS,
  ...LIMITS,
  ...RETENTION,
});

/** Each value by the key of its setting. */
export type SettingValues = z.output<typeof configSchema>;
export type SettingKey = keyof SettingValues;

/** A setting with the names by which each source knows it. */
export interface NamedSetting extends SettingInfo {
  readonly key: SettingKey;
  readonly env: string;
  /** Of the variable that names a file with the value. */
  readonly envFile: string;
  readonly flag: string;
}

/** All settings, in the order of CONFIG.md. */
export const SETTINGS: readonly NamedSetting[] = configSchema.keyof().options.flatMap((key) => {
  const info = infoOf(configSchema.shape[key]);
  const env = `QUORATE_${key.toUpperCase()}`;
  const flag = `--${key.replaceAll('_', '-')}`;
  return info === undefined ? [] : [{ ...info, key, env, envFile: `${env}_FILE`, flag }];
});
