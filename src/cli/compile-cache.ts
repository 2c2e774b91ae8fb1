import { mkdirSync, statSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';

/** Node 22 and newer have it. */
interface WithCompileCache {
  enableCompileCache?: (folder: string) => unknown;
}

const ROOT = 0;
const WRITABLE_BY_OTHERS = 0o022;

/** Lets Node keep compiled code, so that the next start need not compile it. Where it cannot be written, Node does without. */
export function keepCompiledCode(): void {
  const folder = compileCacheFolder(process.env, homedir);
  const { enableCompileCache } = nodeModule as WithCompileCache;
  if (folder === undefined || enableCompileCache === undefined) return;
  if (isSafeFolder(folder, process.geteuid?.())) enableCompileCache(folder);
}

/**
 * Makes the folder unless it is there. Any user that can write to it can put code there, which this process would run: with `sudo`, say,
 * the home may be that of another user.
 *
 * @param uid the user of this process; undefined where users have no numbers
 * @returns whether there is one to which only this user, and root, can write
 */
export function isSafeFolder(folder: string, uid: number | undefined): boolean {
  const parent = dirname(folder);
  for (const each of [parent, folder]) {
    try {
      mkdirSync(each, { mode: 0o700 });
    } catch {
      // It is there, or cannot be made: Node 24 would try that for ever.
    }
  }
  try {
    const above = statSync(parent);
    const own = statSync(folder);
    if (uid === undefined) return true;
    return [uid, ROOT].includes(above.uid) && own.uid === uid && (own.mode & WRITABLE_BY_OTHERS) === 0;
  } catch {
    return false;
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
