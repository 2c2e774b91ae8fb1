import assert from 'node:assert/strict';
import { ConfigError } from '../../src/config/config-error.js';
import { parseConfigFile } from '../../src/config/config-file.js';
import type { Environment } from '../../src/config/env.js';
import { resolveServeConfig } from '../../src/config/resolve.js';
import type { ServeConfig } from '../../src/config/serve-config.js';

/** A command line as one would type it (no quoting), an environment, and what is in the file that `--config` names. */
export function resolve(commandLine: string, env: Environment = {}, file?: string): ServeConfig {
  return resolveServeConfig(commandLine.split(' ').filter(Boolean), env, (path) => {
    if (file === undefined) throw new Error(`no such file: ${path}`);
    return parseConfigFile(path, file);
  });
}

/** The message that a wrong configuration ends with. */
export function refusal(commandLine: string, env: Environment = {}, file?: string): string {
  try {
    resolve(commandLine, env, file);
  } catch (error) {
    assert.ok(error instanceof ConfigError, `not a ConfigError: ${error}`);
    assert.equal(error.exitCode, 2);
    return error.message;
  }
  assert.fail(`accepted: ${commandLine}`);
}
