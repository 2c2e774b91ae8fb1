import fs from 'node:fs';
import path from 'node:path';
import { unpackFolder } from './packed.js';

/** Unpacks the program of release 0.1.0 into a folder. @returns the path of its command line, for node */
export function unpackOldProgram(dir: string): string {
  for (const entry of unpackFolder(fs.readFileSync(new URL('./0.1.0.program.br', import.meta.url)))) {
    const target = path.join(dir, entry.path);
    if (entry.content === undefined) fs.mkdirSync(target, { recursive: true });
    else fs.writeFileSync(target, entry.content);
  }
  return path.join(dir, 'dist', 'cli', 'main.js');
}
