import { readFile, realpath } from 'node:fs/promises';
import type { Logger } from '../log/logger.js';

/**
 * Logs that a new store was made, and on which mount. Where there should have been one, its volume is not mounted, or its folder was removed
 * or renamed: nobody would notice until messages are missed.
 */
export function logMadeStore(log: Logger, dir: string): (storeId: string) => void {
  return (storeId) => {
    void mountOf(dir).then((mount) => {
      const where = mount === undefined ? dir : `${dir}, on ${mount.path} (${mount.type}, ${mount.source})`;
      log.warn(
        { store: dir, storeId, mount: mount?.path },
        `made a new, empty store in ${where}. If there was one before, stop now: is its volume mounted, and is this the right folder?`,
      );
    });
  };
}

/** A mounted file system, as the machine lists it. */
export interface Mount {
  path: string;
  type: string;
  source: string;
}

/** The mount that a folder lies on; undefined where the system does not say. */
async function mountOf(dir: string): Promise<Mount | undefined> {
  try {
    const [path, list] = await Promise.all([realpath(dir), readFile('/proc/self/mountinfo', 'utf8')]);
    return mountIn(list, path);
  } catch {
    return undefined;
  }
}

/** @param list of `/proc/self/mountinfo` */
export function mountIn(list: string, path: string): Mount | undefined {
  let found: Mount | undefined;
  for (const line of list.split('\n')) {
    const [before, behind] = line.split(' - ');
    const at = plain(before?.split(' ')[4]);
    const [type, source] = behind?.split(' ') ?? [];
    if (at === undefined || type === undefined) continue;
    const holds = path === at || path.startsWith(at === '/' ? at : `${at}/`);
    // Of two on the same folder the later one is on top.
    if (holds && at.length >= (found?.path.length ?? 0))
      found = { path: at, type, source: plain(source) ?? '' };
  }
  return found;
}

/** Without the octal escapes of the list. */
function plain(field: string | undefined): string | undefined {
  return field?.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
