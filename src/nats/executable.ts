import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

/**
 * Finds a program.
 *
 * @param name a path if it has a slash, else a name to look for
 * @param path folders to look in, as in the environment's PATH
 * @returns its path; undefined if there is none
 */
export function findExecutable(name: string, path: string): string | undefined {
  const candidates = name.includes('/')
    ? [resolve(name)]
    : path.split(delimiter).map((dir) => join(dir, name));
  return candidates.find(isExecutable);
}

/** The environment's PATH, with the folders where Debian puts a nats-server: the PATH of a user often lacks them. */
export function searchPath(path: string | undefined): string {
  return [path, '/usr/local/sbin', '/usr/sbin'].filter(Boolean).join(delimiter);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
