import { readdir, readFile } from 'node:fs/promises';

/** File descriptors of this process: in use, and allowed. Undefined where the system does not tell (no /proc). */
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
