import fs from 'node:fs';
import path from 'node:path';
import { errorCode } from '../../src/files/fs-error.js';

/** A file as it is kept: without the zeros at its end, which most of a journal is. */
export interface StoredFile {
  readonly bytes: Buffer;
  readonly size: number;
}

/** A store's folder at one moment: its files and folders, by their paths in it. */
export class Picture {
  readonly files: ReadonlyMap<string, StoredFile>;
  readonly folders: ReadonlySet<string>;

  constructor(files: ReadonlyMap<string, StoredFile>, folders: ReadonlySet<string>) {
    this.files = files;
    this.folders = folders;
  }

  static of(dir: string): Picture {
    const files = new Map<string, StoredFile>();
    const folders = new Set<string>();
    if (fs.existsSync(dir)) look(dir, '', files, folders);
    return new Picture(files, folders);
  }

  /** Puts it there, in a folder that does not exist. */
  put(dir: string): void {
    fs.mkdirSync(dir, { recursive: true });
    for (const name of [...this.folders].sort()) fs.mkdirSync(path.join(dir, name), { recursive: true });
    for (const [name, { bytes, size }] of this.files) {
      const fd = fs.openSync(path.join(dir, name), 'w', 0o640);
      fs.writeSync(fd, bytes, 0, bytes.length, 0);
      if (size > bytes.length) fs.ftruncateSync(fd, size);
      fs.closeSync(fd);
    }
  }

  /** The same with other files: undefined removes one. */
  with(changes: Iterable<readonly [string, StoredFile | undefined]>): Picture {
    const files = new Map(this.files);
    for (const [name, file] of changes) {
      if (file === undefined) files.delete(name);
      else files.set(name, file);
    }
    return new Picture(files, this.folders);
  }

  /** The same without these folders and all that is in them. */
  without(folder: string): Picture {
    const isIn = (name: string): boolean => name === folder || name.startsWith(`${folder}/`);
    return new Picture(
      new Map([...this.files].filter(([name]) => !isIn(name))),
      new Set([...this.folders].filter((name) => !isIn(name))),
    );
  }
}

export function sameFile(a: StoredFile, b: StoredFile): boolean {
  return a.size === b.size && a.bytes.equals(b.bytes);
}

export function storedFile(content: Buffer, size = content.length): StoredFile {
  let end = content.length;
  while (end > 0 && content[end - 1] === 0) end--;
  return { bytes: Buffer.from(content.subarray(0, end)), size };
}

/** The files of a folder as they are now, without reading them: whichever of them is written, replaced or removed is another one afterwards. */
export function stampsOf(dir: string): ReadonlyMap<string, string> {
  const stamps = new Map<string, string>();
  for (const entry of fs.readdirSync(dir, { withFileTypes: true, recursive: true })) {
    if (entry.isDirectory()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const status = ifThere(() => fs.statSync(file, { bigint: true }));
    if (status === undefined) continue;
    const { ino, size, mtimeNs } = status;
    stamps.set(path.relative(dir, file), `${ino} ${size} ${mtimeNs}`);
  }
  return stamps;
}

function look(root: string, folder: string, files: Map<string, StoredFile>, folders: Set<string>): void {
  for (const entry of fs.readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      folders.add(name);
      look(root, name, files, folders);
      continue;
    }
    // A file that the store has given its name since the folder was listed was only begun at that moment: it need not be there.
    const content = ifThere(() => fs.readFileSync(path.join(root, name)));
    if (content !== undefined) files.set(name, storedFile(content));
  }
}

function ifThere<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
