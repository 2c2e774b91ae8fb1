import { readdir, readFile } from 'node:fs/promises';

/** The open file descriptors of this process, and their limit; undefined on a system without /proc. */
export async function openFiles(): Promise<{ open: number; max: number } | undefined> {
  try {
    const [descriptors, limits] = await Promise.all([
      readdir('/proc/self/fd'),
      readFile('/proc/self/limits', 'utf8'),
    ]);
    const max = Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? 0);
    return { open: descriptors.length, max };
  } catch {
    return undefined;
  }
}
