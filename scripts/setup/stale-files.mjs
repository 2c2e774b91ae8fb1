import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** What the compiler makes of a module. */
const COMPILED = /\.(?:js|d\.ts|d\.cts)$/;
const STAMP = '.built-from';

/**
 * Removes from `dist` what an earlier build has left of sources that are gone: it would be published with the package.
 *
 * @param {string} root
 * @param {ReadonlySet<string>} bundled the files of `dist/cli`, as paths
 */
export function removeStale(root, bundled) {
  const dist = join(root, 'dist');
  const cli = join(dist, 'cli');
  for (const name of readdirSync(dist)) {
    if (name === 'cli') removeOther(cli, (path) => bundled.has(path));
    else if (name !== STAMP)
      removeOther(join(dist, name), (path) => hasSource(join(root, 'src', path.slice(dist.length + 1))));
  }
}

/** @param {string} path where the source would lie, with the extension of what is made of it */
function hasSource(path) {
  return existsSync(path) || existsSync(path.replace(COMPILED, '.ts'));
}

/**
 * @param {string} path of a file or folder
 * @param {(path: string) => boolean} isWanted asked for each file
 */
function removeOther(path, isWanted) {
  const entries = entriesOf(path);
  if (entries === undefined) {
    if (!isWanted(path)) rmSync(path, { force: true });
    return;
  }
  for (const name of entries) removeOther(join(path, name), isWanted);
  if (readdirSync(path).length === 0) rmdirSync(path);
}

/**
 * @param {string} path
 * @returns {string[] | undefined} undefined if it is no folder
 */
function entriesOf(path) {
  try {
    return readdirSync(path);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOTDIR') return undefined;
    throw error;
  }
}
