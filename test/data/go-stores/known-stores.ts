// The Go servers' stores that are kept here, and what their servers said of them.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { unpackFolder } from '../packed.js';
import type { Kind, KnownStore } from './scenario.js';

export function knownStore({ name }: Kind): KnownStore {
  const packed = readFileSync(new URL(`./${name}.json.br`, import.meta.url));
  return JSON.parse(brotliDecompressSync(packed).toString()) as KnownStore;
}

/** Puts the files of a store into a folder, which it makes. */
export function putGoStore({ name }: Kind, dir: string): void {
  mkdirSync(dir, { recursive: true });
  const packed = readFileSync(new URL(`./${name}.store.br`, import.meta.url));
  for (const { path, bytes, content } of unpackFolder(packed)) {
    if (bytes === undefined) {
      mkdirSync(join(dir, path));
      continue;
    }
    const whole = Buffer.alloc(bytes);
    content?.copy(whole);
    writeFileSync(join(dir, path), whole);
  }
}
