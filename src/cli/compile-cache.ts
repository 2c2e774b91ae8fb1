import { existsSync, mkdirSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';

/** Node 22 and newer have it. */
interface WithCompileCache {
  enableCompileCache?: (folder: string) => unknown;
}

/** Lets Node keep compiled code, so that the next start need not compile it. Where it cannot be written, Node does without. */
export function keepCompiledCode(): void {
  const folder = compileCacheFolder(process.env, homedir);
  const { enableCompileCache } = nodeModule as WithCompileCache;
  if (folder === undefined || enableCompileCache === undefined) return;
  // Node 24 tries for ever where it cannot make the folder.
  if (canMake(dirname(folder)) && canMake(folder)) enableCompileCache(folder);
}

function canMake(folder: string): boolean {
  try {
    mkdirSync(folder, { mode: 0o700 });
    return true;
  } catch {
    return existsSync(folder);
  }
}

/**
 * The folder lies among the user's own: Node's default is in /tmp, where another user may have put code first.
 *
 * @returns undefined if the user has no folder
 */
export function compileCacheFolder(env: NodeJS.ProcessEnv, home: () => string): string | undefined {
  const { XDG_CACHE_HOME: own = '' } = env;
  if (isAbsolute(own)) return join(own, 'stanchion');
  try {
    return join(home(), '.cache', 'stanchion');
  } catch {
    // In a container the user may be a number alone.
    return undefined;
  }
}
