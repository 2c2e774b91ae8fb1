import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

/**
 * @param name a path if it has a slash
 * @param path folders to look in otherwise, as in the environment's PATH
 */
export function findExecutable(name: string, path: string): string | undefined {
  const candidates = name.includes('/')
    ? [resolve(name)]
    : path.split(delimiter).map((dir) => join(dir, name));
  return candidates.find(isExecutable);
}

/** The environment's PATH, and where Debian puts a nats-server: not everybody's PATH has that. */
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
