// A file system in memory, for a store that leaves no files: `MemoryFs`.

import type { FileStatus, OpenMode, StoreFile, StoreFs } from './fs.js';

/** Runs a callback soon, after other due work: a call to a file system never ends within the caller's turn. */
type Defer = (callback: () => void) => void;

/** Memory of files that are gone, for the next ones: else each would wait for a full garbage collection. */
class Pool {
  readonly #free: Buffer[] = [];

  /** @returns zeros: at least so many bytes */
  take(bytes: number): Buffer {
    const index = this.#free.findIndex(({ length }) => length >= bytes && length <= bytes * MAX_WASTE);
    const found = index < 0 ? undefined : this.#free.splice(index, 1)[0];
    return found?.fill(0) ?? Buffer.alloc(bytes);
  }

  give(content: Buffer): void {
    if (content.length > 0) this.#free.push(content);
  }

  clear(): void {
    this.#free.length = 0;
  }
}

const MAX_WASTE = 4;

class Inode {
  content: Buffer = Buffer.alloc(0);
  bytes = 0;
  /** Names and open files that lead to it. */
  uses = 1;
  readonly id: bigint;
  readonly #pool: Pool;

  constructor(id: bigint, pool: Pool) {
    this.id = id;
    this.#pool = pool;
  }

  /** A name or an open file no longer leads to it. */
  leave(): void {
    if (--this.uses > 0) return;
    this.#pool.give(this.content);
    this.drop();
  }

  /** Lets go of its memory. A file of it that is still open is empty then. */
  drop(): void {
    this.content = Buffer.alloc(0);
    this.bytes = 0;
  }

  /** Bytes that were never written are zeros. */
  resize(bytes: number): void {
    if (bytes > this.content.length) {
      const larger = this.#pool.take(Math.max(bytes, this.content.length * 2));
      this.content.copy(larger, 0, 0, this.bytes);
      this.#pool.give(this.content);
      this.content = larger;
    }
    if (bytes < this.bytes) this.content.fill(0, bytes, this.bytes);
    this.bytes = bytes;
  }
}

/**
 * A file system in memory. What is written is there at once, and nothing of it outlives the object. After `end` no call ever ends: a store
 * on it does nothing more, and becomes garbage.
 */
export class MemoryFs implements StoreFs {
  readonly #defer: Defer;
  readonly #files = new Map<string, Inode>();
  readonly #folders = new Set<string>(['', '/']);
  readonly #pool = new Pool();
  #lastId = 0n;
  #isEnded = false;

  constructor(defer: Defer) {
    this.#defer = defer;
  }

  /** Bytes of memory that the files take. */
  get bytes(): number {
    let bytes = 0;
    for (const { content } of this.#files.values()) bytes += content.length;
    return bytes;
  }

  /** Ends all calls for ever, also those under way, and lets go of the files. */
  end(): void {
    this.#isEnded = true;
    for (const inode of this.#files.values()) inode.drop();
    this.#files.clear();
    this.#pool.clear();
  }

  /** Calls back soon, unless there is an end before. */
  soon(callback: () => void): void {
    this.#defer(() => {
      if (!this.#isEnded) callback();
    });
  }

  #call<T>(body: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.soon(() => {
        try {
          resolve(body());
        } catch (error) {
          reject(error as Error);
        }
      });
    });
  }

  open(path: string, mode: OpenMode): Promise<StoreFile> {
    return this.#call(() => {
      if (mode !== 'create') return new MemoryFile(this, this.#inode(path));
      this.#mustBeFree(path);
      const inode = new Inode(++this.#lastId, this.#pool);
      this.#files.set(path, inode);
      return new MemoryFile(this, inode);
    });
  }

  readSync(path: string, buffer: Buffer, start: number, end: number, position: number): number {
    return readFrom(this.#inode(path), buffer, start, end, position);
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call(() => this.renameSync(from, to));
  }

  renameSync(from: string, to: string): void {
    if (this.#folders.has(from)) {
      if (this.#folders.has(to) && this.listSync(to).length > 0) throw failure('ENOTEMPTY', to);
      for (const path of [...this.#files.keys()]) {
        if (path.startsWith(`${from}/`)) this.#move(path, `${to}${path.slice(from.length)}`);
      }
      this.#folders.delete(from);
      this.#folders.add(to);
      return;
    }
    this.#move(from, to);
  }

  link(from: string, to: string): Promise<void> {
    return this.#call(() => {
      this.#mustBeFree(to);
      const inode = this.#inode(from);
      inode.uses++;
      this.#files.set(to, inode);
    });
  }

  unlink(path: string): Promise<void> {
    return this.#call(() => {
      const inode = this.#inode(path);
      this.#files.delete(path);
      inode.leave();
    });
  }

  makeDirectory(path: string): Promise<void> {
    return this.#call(() => {
      for (let at = path; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('/'))))
        this.#folders.add(at);
    });
  }

  removeDirectory(path: string): Promise<void> {
    return this.#call(() => {
      if (!this.#folders.has(path)) throw failure('ENOENT', path);
      if (this.listSync(path).length > 0) throw failure('ENOTEMPTY', path);
      this.#folders.delete(path);
    });
  }

  list(path: string): Promise<string[]> {
    return this.#call(() => this.listSync(path));
  }

  listSync(path: string): string[] {
    if (!this.#folders.has(path)) throw failure('ENOENT', path);
    const names: string[] = [];
    for (const other of [...this.#files.keys(), ...this.#folders]) {
      if (other.startsWith(`${path}/`) && !other.includes('/', path.length + 1))
        names.push(other.slice(path.length + 1));
    }
    return names;
  }

  status(path: string): Promise<FileStatus | undefined> {
    return this.#call(() => {
      const inode = this.#files.get(path);
      if (inode !== undefined) return { bytes: inode.bytes, isDirectory: false, inode: inode.id, device: 0n };
      return this.#folders.has(path) ? { bytes: 0, isDirectory: true, inode: 0n, device: 0n } : undefined;
    });
  }

  syncDirectory(): Promise<void> {
    return this.#call(() => {});
  }

  #inode(path: string): Inode {
    const inode = this.#files.get(path);
    if (inode === undefined) throw failure('ENOENT', path);
    return inode;
  }

  #move(from: string, to: string): void {
    const inode = this.#inode(from);
    const replaced = this.#files.get(to);
    this.#files.delete(from);
    this.#files.set(to, inode);
    if (replaced !== inode) replaced?.leave();
  }

  #mustBeFree(path: string): void {
    if (this.#files.has(path) || this.#folders.has(path)) throw failure('EEXIST', path);
  }
}

class MemoryFile implements StoreFile {
  readonly #fs: MemoryFs;
  readonly #inode: Inode;

  constructor(fs: MemoryFs, inode: Inode) {
    this.#fs = fs;
    this.#inode = inode;
    inode.uses++;
  }

  write(
    buffer: Buffer,
    start: number,
    end: number,
    position: number,
    done: (error: Error | null, written: number) => void,
  ): void {
    const inode = this.#inode;
    const last = position + end - start;
    if (last > inode.bytes) inode.resize(last);
    buffer.copy(inode.content, position, start, end);
    this.#fs.soon(() => done(null, end - start));
  }

  read(buffer: Buffer, start: number, end: number, position: number): Promise<number> {
    return this.#soon(() => readFrom(this.#inode, buffer, start, end, position));
  }

  size(): Promise<number> {
    return this.#soon(() => this.#inode.bytes);
  }

  sync(): Promise<void> {
    return this.#soon(() => {});
  }

  truncate(bytes: number): Promise<void> {
    return this.#soon(() => this.#inode.resize(bytes));
  }

  close(): Promise<void> {
    return this.#soon(() => this.#inode.leave());
  }

  #soon<T>(body: () => T): Promise<T> {
    return new Promise((resolve) => {
      this.#fs.soon(() => resolve(body()));
    });
  }
}

function readFrom(
  { content, bytes }: Inode,
  buffer: Buffer,
  start: number,
  end: number,
  position: number,
): number {
  const last = Math.min(bytes, position + end - start);
  return last <= position ? 0 : content.copy(buffer, start, position, last);
}

/** An error as Node's, which the store knows by its code. */
function failure(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: '${path}'`), { code, path });
}
