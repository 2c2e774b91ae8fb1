// Folders and programs as they are kept in this folder: packed into one file each.

import fs from 'node:fs';
import path from 'node:path';
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';

/** A file or folder of a packed folder. Zeros at the end of a file are not kept. */
export interface Entry {
  /** In the folder. */
  readonly path: string;
  /** The size of a file. A folder has none. */
  readonly bytes?: number;
  readonly content?: Buffer;
}

interface Head {
  entries: { path: string; bytes?: number; kept?: number }[];
}

const HEAD_LENGTH_BYTES = 4;

/** Packs a folder: first a list of what is in it, as JSON, then the contents one after the other. */
export function packFolder(dir: string): Buffer {
  const contents: Buffer[] = [];
  const names = fs.readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort();
  const entries = names.map((name) => {
    const file = path.join(dir, name);
    if (fs.statSync(file).isDirectory()) return { path: name };
    const whole = fs.readFileSync(file);
    const content = withoutZeros(whole);
    contents.push(content);
    return { path: name, bytes: whole.length, kept: content.length };
  });
  const head = Buffer.from(JSON.stringify({ entries } satisfies Head));
  const headLength = Buffer.alloc(HEAD_LENGTH_BYTES);
  headLength.writeUInt32LE(head.length);
  return compressed(Buffer.concat([headLength, head, ...contents]));
}

/** Folders come before what is in them. */
export function unpackFolder(packed: Buffer): Entry[] {
  const all = brotliDecompressSync(packed);
  let at = HEAD_LENGTH_BYTES + all.readUInt32LE();
  const { entries } = JSON.parse(all.toString('utf8', HEAD_LENGTH_BYTES, at)) as Head;
  return entries.map(({ path, bytes, kept = 0 }) => {
    if (bytes === undefined) return { path };
    const content = all.subarray(at, at + kept);
    at += kept;
    return { path, bytes, content };
  });
}

export function compressed(content: Buffer): Buffer {
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 };
  return brotliCompressSync(content, { params });
}

function withoutZeros(content: Buffer): Buffer {
  let end = content.length;
  while (end > 0 && content[end - 1] === 0) end--;
  return content.subarray(0, end);
}
