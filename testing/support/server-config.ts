/** Configurations in tests: what is wrong with one. */
import assert from 'node:assert/strict';
import { RegistryError } from '../../src/core/error.ts';
import { type ConfigFile, type ConfigSources, loadConfig } from '../../src/server/config.ts';

/** Each of which the message has in a line of its own. Empty: the configuration is valid. */
export function violationsOf(sources: ConfigSources): readonly string[] {
  try {
    loadConfig(sources);
  } catch (error) {
    assert.ok(error instanceof RegistryError && error.code === 'invalid_request', String(error));
    const { violations } = error.details;
    assert.ok(Array.isArray(violations) && violations.length > 0);
    for (const violation of violations) assert.ok(error.message.includes(`\n  ${violation}`));
    return violations;
  }
  return [];
}

export function file(text: string): ConfigFile {
  return { name: 'quorate.toml', text };
}
