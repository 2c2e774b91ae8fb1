import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { ConfigError } from '../config/config-error.js';
import type { NatsServerConfig } from '../config/serve-config.js';
import { findExecutable, searchPath } from './executable.js';
import { makeServerFolder } from './server-folder.js';
import { aboutGoFile, partPath, writePart } from './server-part.js';

const TIMEOUT_MS = 10_000;

/**
 * Lets a nats-server check the configuration file that it would be started with.
 *
 * @returns sentences for people: what was not checked
 * @throws ConfigError with what the nats-server finds wrong
 */
export function checkServerConfig({ binary, configFile, goFile }: NatsServerConfig): string[] {
  const program = findExecutable(binary, searchPath(process.env.PATH));
  if (program === undefined) {
    const what = configFile === undefined ? '' : `, and what ${configFile} has for it was not checked`;
    return [`there is no ${binary} on this machine${what}`];
  }
  if (configFile === undefined) return [];
  const folder = makeServerFolder();
  try {
    if (goFile !== undefined) writePart(configFile, goFile, folder);
    const path = goFile !== undefined ? partPath(folder) : configFile;
    const { status, stdout, stderr, error } = spawnSync(program, ['-t', '-c', path], {
      encoding: 'utf8',
      timeout: TIMEOUT_MS,
    });
    if (status === 0) return [];
    const said = `${stdout}${stderr}`.trim() || (error?.message ?? 'it says nothing');
    throw new ConfigError(
      `the nats-server refuses its configuration: ${goFile !== undefined ? aboutGoFile(said, configFile) : said}`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
