// The part of a Go server's configuration file that a nats-server gets.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { natsTextOf } from '../config/go-file/nats-part.js';
import { parseNats } from '../config/nats-syntax/parse.js';
import type { GoFileUse } from '../config/serve-config.js';

const NAME = 'part.conf';

/** The path that the part has in a folder. */
export function partPath(folder: string): string {
  return join(folder, NAME);
}

/**
 * Writes the part into a folder. It may have secrets, so that only this user may read it.
 *
 * @throws ConfigError if the file has an error; Error if it cannot be read
 */
export function writePart(goFile: string, use: GoFileUse, folder: string): void {
  const readFile = (path: string): string => readFileSync(path, 'utf8');
  const file = parseNats(goFile, readFile(goFile), { env: process.env, readFile });
  writeFileSync(partPath(folder), natsTextOf(file, folder, use), { mode: 0o600 });
}

/** An error of the nats-server, with the file's own path: the lines are the same. */
export function aboutGoFile(text: string, goFile: string): string {
  return text.replace(/(?:[^\s'"]*\/)?part\.conf/g, goFile);
}
