import { readFileSync, rmSync, writeFileSync } from 'node:fs';

/**
 * Writes the id of this process for others to find, and removes the file when the process ends.
 *
 * @throws Error naming the file if it cannot be written
 */
export function writePidFile(path: string): void {
  const id = `${process.pid}\n`;
  try {
    writeFileSync(path, id);
  } catch (error) {
    throw new Error(`--pid: cannot write ${path}: ${error instanceof Error ? error.message : error}`);
  }
  process.on('exit', () => {
    try {
      // Another broker may have been started with the same file by mistake: it keeps it.
      if (readFileSync(path, 'utf8') === id) rmSync(path);
    } catch {
      // Gone already.
    }
  });
}
