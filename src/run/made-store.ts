import { readFile, realpath } from 'node:fs/promises';
import type { Logger } from '../log/logger.js';

/**
 * Logs that a new store was made, and on which mount. Where there should have been one, its volume is not mounted, or its folder was removed
 * or renamed: that would be noticed only when messages are missed.
 */
export function logMadeStore(log: Logger, dir: string): (storeId: string) => void {
  return (storeId) => {
    void mountOf(dir).then(({ mount, missing }) => {
      const where = mount === undefined ? dir : `${dir}, on ${mount.path} (${mount.type}, ${mount.source})`;
      const why =
        missing === undefined ? '' : `${missing} stands in /etc/fstab, and nothing is mounted there. `;
      log.warn(
        { store: dir, storeId, mount: mount?.path, missingMount: missing },
        `made a new, empty store in ${where}. ${why}If there was one before, stop now: is its volume mounted, and is this the right folder?`,
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

/** What a folder lies on, as far as the system says. */
async function mountOf(dir: string): Promise<{ mount?: Mount | undefined; missing?: string | undefined }> {
  try {
    const [path, list] = await Promise.all([realpath(dir), readFile('/proc/self/mountinfo', 'utf8')]);
    const mount = mountIn(list, path);
    const table = await readFile('/etc/fstab', 'utf8').catch(() => '');
    return { mount, missing: missingMountIn(table, path, mount) };
  } catch {
    return {};
  }
}

/**
 * The mount point that should hold a folder, and does not, since nothing is mounted there.
 *
 * @param table of `/etc/fstab`
 * @param mount that the folder lies on
 */
export function missingMountIn(table: string, path: string, mount: Mount | undefined): string | undefined {
  return table
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .map((line) => plain(line.trim().split(/\s+/)[1]) ?? '')
    .find((at) => at.startsWith('/') && at.length > (mount?.path.length ?? 0) && isBelow(path, at));
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === '/' ? folder : `${folder}/`);
}

/** @param list of `/proc/self/mountinfo` */
export function mountIn(list: string, path: string): Mount | undefined {
  let found: Mount | undefined;
  for (const line of list.split('\n')) {
    const [before, behind] = line.split(' - ');
    const at = plain(before?.split(' ')[4]);
    const [type, source] = behind?.split(' ') ?? [];
    if (at === undefined || type === undefined) continue;
    // If there are two on the same folder, the later one is on top.
    if (isBelow(path, at) && at.length >= (found?.path.length ?? 0))
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
