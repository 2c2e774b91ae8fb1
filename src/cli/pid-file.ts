import { readFileSync, rmSync, writeFileSync } from 'node:fs';

/**
 * Writes the id of this process to a file, and removes the file when the process ends.
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
      // Another broker may have been started with the same file by mistake: its file stays.
      if (readFileSync(path, 'utf8') === id) rmSync(path);
    } catch {
      // The file is gone already.
    }
  });
}
