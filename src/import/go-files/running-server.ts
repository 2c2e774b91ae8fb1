import { readdir, readFile, readlink, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';

/** Servers of a fault-tolerant group hold a lock on it. */
const LOCK_FILE = '.rootdir.lck';

/**
 * Looks for a process that uses the files of a store: one that locks its lock file, or has one of its files open. Linux shows both in
 * /proc, for processes of this machine or container, and of this user unless it is root. Elsewhere nothing is found.
 *
 * @returns what was seen, for people; undefined if nothing
 */
export async function serverSeen(dir: string): Promise<string | undefined> {
  return (await lockSeen(dir)) ?? (await openFileSeen(dir));
}

async function lockSeen(dir: string): Promise<string | undefined> {
  try {
    const { ino } = await stat(join(dir, LOCK_FILE));
    const locks = await readFile('/proc/locks', 'utf8');
    for (const line of locks.split('\n')) {
      // 1: POSIX  ADVISORY  WRITE 4711 fe:01:131 0 EOF
      const [, , , access, pid, file] = line.trim().split(/\s+/);
      if (access === 'WRITE' && file?.endsWith(`:${ino}`)) return `process ${pid} has a lock on ${LOCK_FILE}`;
    }
  } catch {
    // There is no lock file, or no /proc.
  }
  return undefined;
}

async function openFileSeen(dir: string): Promise<string | undefined> {
  const own = String(process.pid);
  const prefix = (await realpath(dir)) + sep;
  for (const pid of await namesIn('/proc')) {
    if (!/^\d+$/.test(pid) || pid === own) continue;
    for (const fd of await namesIn(`/proc/${pid}/fd`)) {
      const file = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '');
      if (isStoreFile(file, prefix) && (await isWriter(pid, fd))) return `process ${pid} has ${file} open`;
    }
  }
  return undefined;
}

/** These files stay open in a server. */
function isStoreFile(file: string, prefix: string): boolean {
  return file.startsWith(prefix) && /(^|[/\\])(server|clients|subs|msgs\.\d+)\.(dat|idx)$/.test(file);
}

/** A backup that runs, or an editor that shows a file, is no server. */
async function isWriter(pid: string, fd: string): Promise<boolean> {
  const info = await readFile(`/proc/${pid}/fdinfo/${fd}`, 'utf8').catch(() => '');
  const flags = /^flags:\s*([0-7]+)/m.exec(info)?.[1];
  return flags !== undefined && (Number.parseInt(flags, 8) & 3) !== 0;
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch {
    return [];
  }
}
