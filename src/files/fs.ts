// The file system: the interface that the store uses, and its implementation on Node.

import fs from 'node:fs';
import { dirname } from 'node:path';
import { fsError } from './fs-error.js';

/** An open file. Positions and lengths are in bytes. */
export interface StoreFile {
  /** Writes a part or all of the bytes, as write(2) does. It takes a callback, since a promise per batch is expensive. */
  write(
    buffer: Buffer,
    start: number,
    end: number,
    position: number,
    done: (error: Error | null, written: number) => void,
  ): void;
  /** @returns the number of bytes read, which is less than requested only at the end of the file */
  read(buffer: Buffer, start: number, end: number, position: number): Promise<number>;
  /** The size of the open file. A network mount asks its server when a file is opened, but perhaps not for the status of a path. */
  size(): Promise<number>;
  sync(): Promise<void>;
  /** The time of the last write, in nanoseconds since 1970, by the clock of the file system's server. Some file systems do not have it. */
  writtenNs?(): Promise<bigint>;
  /** Cuts the file to this size. It is durable with the next sync. */
  truncate(bytes: number): Promise<void>;
  close(): Promise<void>;
}

/** With `create` the file must not exist, with the others it must. With `durable` a completed write is durable (O_DSYNC). */
export type OpenMode = 'read' | 'create' | 'write' | 'durable';

export interface FileStatus {
  bytes: number;
  isDirectory: boolean;
  /** Unique among the files of the device, as long as the file exists or is open. */
  inode: bigint;
  /** This machine's number for the mount. */
  device: bigint;
}

/**
 * The calls to a file system that the store makes. The store touches files only through it. Errors are those of Node, with their
 * `code` and the path.
 */
export interface StoreFs {
  open(path: string, mode: OpenMode): Promise<StoreFile>;
  /** Opens, reads and closes a file, for the rare append that needs bytes from the disk. */
  readSync(path: string, buffer: Buffer, start: number, end: number, position: number): number;
  /** Renames atomically, and replaces a file at `to`. `ENOENT` if `from` does not exist. */
  rename(from: string, to: string): Promise<void>;
  /** Renames synchronously, where that is possible: for a thread that may wait, or a file system on which it takes microseconds. */
  renameSync?(from: string, to: string): void;
  /** Gives a file a second name, atomically. `EEXIST` if the name exists. */
  link(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Makes a folder and its parents. It is no error if it exists. */
  makeDirectory(path: string): Promise<void>;
  removeDirectory(path: string): Promise<void>;
  /** The names in a folder, in any order. */
  list(path: string): Promise<string[]>;
  /** Lists synchronously, under the conditions of `renameSync`. */
  listSync?(path: string): string[];
  /** `undefined` if the path does not exist. */
  status(path: string): Promise<FileStatus | undefined>;
  /** The free bytes of the folder's file system. This is a hint, since a quota may allow fewer. */
  freeBytes?(path: string): Promise<number>;
  /** Makes created, renamed and removed names in a folder durable. */
  syncDirectory(path: string): Promise<void>;
}

class NodeFile implements StoreFile {
  readonly #fd: number;
  readonly #path: string;

  constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#path = path;
  }

  write(
    buffer: Buffer,
    start: number,
    end: number,
    position: number,
    done: (error: Error | null, written: number) => void,
  ): void {
    fs.write(this.#fd, buffer, start, end - start, position, (error, written) =>
      done(error === null ? null : fsError(error, this.#path), written),
    );
  }

  async read(buffer: Buffer, start: number, end: number, position: number): Promise<number> {
    let at = start;
    while (at < end) {
      const count = await new Promise<number>((resolve, reject) =>
        fs.read(this.#fd, buffer, at, end - at, position + at - start, (error, bytes) =>
          error === null ? resolve(bytes) : reject(fsError(error, this.#path)),
        ),
      );
      if (count === 0) break;
      at += count;
    }
    return at - start;
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) =>
      fs.fstat(this.#fd, (error, stats) =>
        error === null ? resolve(stats.size) : reject(fsError(error, this.#path)),
      ),
    );
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) =>
      fs.fdatasync(this.#fd, (error) => (error === null ? resolve() : reject(fsError(error, this.#path)))),
    );
  }

  writtenNs(): Promise<bigint> {
    return new Promise((resolve, reject) =>
      fs.fstat(this.#fd, { bigint: true }, (error, stats) =>
        error === null ? resolve(stats.mtimeNs) : reject(fsError(error, this.#path)),
      ),
    );
  }

  truncate(bytes: number): Promise<void> {
    return new Promise((resolve, reject) =>
      fs.ftruncate(this.#fd, bytes, (error) =>
        error === null ? resolve() : reject(fsError(error, this.#path)),
      ),
    );
  }

  close(): Promise<void> {
    return new Promise((resolve, reject) =>
      fs.close(this.#fd, (error) => (error == null ? resolve() : reject(fsError(error, this.#path)))),
    );
  }
}

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_DSYNC } = fs.constants;
const FLAGS: Record<OpenMode, number> = {
  read: O_RDONLY,
  create: O_RDWR | O_CREAT | O_EXCL,
  write: O_RDWR,
  durable: O_RDWR | O_DSYNC,
};

function openFd(path: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) =>
    fs.open(path, flags, 0o640, (error, fd) => (error === null ? resolve(fd) : reject(error))),
  );
}

/** Runs a call on a path, and completes its error. */
function named<T>(path: string, call: Promise<T>): Promise<T> {
  return call.catch((error: Error) => {
    throw fsError(error, path);
  });
}

function namedSync<T>(path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw fsError(error as Error, path);
  }
}

function readSync(path: string, buffer: Buffer, start: number, end: number, position: number): number {
  const fd = fs.openSync(path, O_RDONLY);
  try {
    let at = start;
    while (at < end) {
      const count = fs.readSync(fd, buffer, at, end - at, position + at - start);
      if (count === 0) break;
      at += count;
    }
    return at - start;
  } finally {
    fs.closeSync(fd);
  }
}

async function makeOne(path: string): Promise<void> {
  try {
    await named(path, fs.promises.mkdir(path, { mode: 0o750 }));
  } catch (error) {
    const found = await nodeFs.status(path).catch(() => undefined);
    // A mount may have cached that the name did not exist, though the server has it now.
    const isThere = found?.isDirectory ?? (error as NodeJS.ErrnoException).code === 'EEXIST';
    if (!isThere) throw error;
  }
}

/** The machine's file system. */
export const nodeFs: StoreFs = {
  open: async (path, mode) => new NodeFile(await openFd(path, FLAGS[mode]), path),
  readSync: (path, buffer, start, end, position) =>
    namedSync(path, () => readSync(path, buffer, start, end, position)),
  rename: (from, to) => named(from, fs.promises.rename(from, to)),
  renameSync: (from, to) => namedSync(from, () => fs.renameSync(from, to)),
  link: (from, to) => named(from, fs.promises.link(from, to)),
  unlink: (path) => named(path, fs.promises.unlink(path)),
  // `recursive` would not do: it reports ENOENT without room, and never ends where nothing can be made, as in /proc.
  makeDirectory: async (path) => {
    try {
      await makeOne(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error;
      await nodeFs.makeDirectory(dirname(path));
      await makeOne(path);
    }
  },
  removeDirectory: (path) => named(path, fs.promises.rmdir(path)),
  list: (path) => named(path, fs.promises.readdir(path)),
  listSync: (path) => namedSync(path, () => fs.readdirSync(path)),
  status: async (path) => {
    try {
      const stats = await named(path, fs.promises.stat(path, { bigint: true }));
      return {
        bytes: Number(stats.size),
        isDirectory: stats.isDirectory(),
        inode: stats.ino,
        device: stats.dev,
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  },
  freeBytes: async (path) => {
    const { bavail, bsize } = await named(path, fs.promises.statfs(path));
    return bavail * bsize;
  },
  syncDirectory: async (path) => {
    const fd = await openFd(path, O_RDONLY);
    const file = new NodeFile(fd, path);
    try {
      await new Promise<void>((resolve, reject) =>
        fs.fsync(fd, (error) => (error === null ? resolve() : reject(fsError(error, path)))),
      );
    } finally {
      await file.close();
    }
  },
};

/** The same file system without syncs, for `--file-sync=false`. */
export function withoutSync(inner: StoreFs): StoreFs {
  return {
    ...inner,
    open: async (path, mode) => {
      const file = await inner.open(path, mode === 'durable' ? 'write' : mode);
      return new UnsyncedFile(file);
    },
    syncDirectory: async () => {},
  };
}

class UnsyncedFile implements StoreFile {
  readonly #inner: StoreFile;

  constructor(inner: StoreFile) {
    this.#inner = inner;
  }

  write(
    buffer: Buffer,
    start: number,
    end: number,
    position: number,
    done: (error: Error | null, written: number) => void,
  ): void {
    this.#inner.write(buffer, start, end, position, done);
  }

  read(buffer: Buffer, start: number, end: number, position: number): Promise<number> {
    return this.#inner.read(buffer, start, end, position);
  }

  size(): Promise<number> {
    return this.#inner.size();
  }

  async sync(): Promise<void> {}

  writtenNs(): Promise<bigint> {
    return this.#inner.writtenNs?.() ?? Promise.reject(new Error('this file system has no times'));
  }

  truncate(bytes: number): Promise<void> {
    return this.#inner.truncate(bytes);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
