import type { FileStatus, OpenMode, StoreFile, StoreFs } from '../../src/files/fs.js';

interface Inode {
  /** What a reader sees. */
  data: Buffer;
  /** What is left after a crash. */
  durable: Buffer;
  /** Another one has the same memory: it is copied before it is written. */
  isShared?: boolean;
}

interface Directory {
  names: Map<string, Inode>;
  durableNames: Map<string, Inode>;
}

export type SimOperation =
  | 'open'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'rename'
  | 'link'
  | 'unlink'
  | 'makeDirectory'
  | 'removeDirectory'
  | 'syncDirectory';

/**
 * A file system in memory that tells what was synced from what was not. It can stop dead before any operation, as a
 * machine without power, and be started again from what was durable, or from all that was written.
 */
export class SimFs implements StoreFs {
  /** Operations that change something, so far. */
  operations = 0;
  /** Bytes of all writes so far. */
  writtenBytes = 0;
  /** The operation, counted from 1, that does not happen any more, nor any after it. */
  stopAt = Number.POSITIVE_INFINITY;
  /** Called before each operation; may throw the error that it fails with. */
  onOperation: (operation: SimOperation, path: string) => void = () => {};
  /** Called when a write has come to the file; may throw the error that it fails with all the same. */
  onWritten: (path: string) => void = () => {};
  /** Everything that is written is durable. */
  isPowerSafe = false;
  readonly #directories = new Map<string, Directory>();

  get isStopped(): boolean {
    return this.operations >= this.stopAt;
  }

  /** One with these folders and files, whose memory it leaves as it is. What is durable in it is not kept apart: its power is not cut. */
  static of(folders: Iterable<string>, files: ReadonlyMap<string, Buffer>): SimFs {
    const made = new SimFs();
    made.isPowerSafe = true;
    for (const path of folders) made.#directories.set(path, { names: new Map(), durableNames: new Map() });
    for (const [path, data] of files) {
      const { names, durableNames } = made.#parent(path);
      const inode = { data, durable: data, isShared: true };
      names.set(base(path), inode);
      durableNames.set(base(path), inode);
    }
    return made;
  }

  /** What a new start finds: only what was synced, or (the other extreme) everything. */
  restarted(keep: 'synced' | 'written'): SimFs {
    const next = new SimFs();
    for (const [path, directory] of this.#directories) {
      const names = keep === 'synced' ? directory.durableNames : directory.names;
      const copies = new Map<string, Inode>();
      for (const [name, inode] of names) {
        const data = Buffer.from(keep === 'synced' ? inode.durable : inode.data);
        copies.set(name, { data, durable: data });
      }
      next.#directories.set(path, { names: copies, durableNames: new Map(copies) });
    }
    return next;
  }

  /** The content of a file, to look at and to damage. */
  content(path: string): Buffer {
    return this.#inode(path).data;
  }

  replace(path: string, content: Buffer): void {
    const inode = this.#inode(path);
    inode.data = content;
    inode.durable = content;
  }

  paths(): string[] {
    return [...this.#directories].flatMap(([dir, { names }]) =>
      [...names.keys()].map((name) => `${dir}/${name}`),
    );
  }

  async open(path: string, mode: OpenMode): Promise<StoreFile> {
    if (mode !== 'create') {
      await tick();
      return new SimFile(this, path, this.#inode(path), mode === 'durable');
    }
    await this.#change('open', path);
    const { names } = this.#parent(path);
    if (names.has(base(path))) throw failure('EEXIST', path);
    const inode = { data: EMPTY, durable: EMPTY };
    names.set(base(path), inode);
    return new SimFile(this, path, inode, false);
  }

  readSync(path: string, buffer: Buffer, start: number, end: number, position: number): number {
    return this.#inode(path).data.copy(buffer, start, position, position + end - start);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#change('rename', from);
    const source = this.#directories.get(from);
    if (source !== undefined) {
      if (this.#directories.has(to)) throw failure('ENOTEMPTY', to);
      this.#directories.delete(from);
      this.#directories.set(to, source);
      return;
    }
    const inode = this.#inode(from);
    this.#parent(from).names.delete(base(from));
    this.#parent(to).names.set(base(to), inode);
  }

  async link(from: string, to: string): Promise<void> {
    await this.#change('link', to);
    const inode = this.#inode(from);
    const { names } = this.#parent(to);
    if (names.has(base(to))) throw failure('EEXIST', to);
    names.set(base(to), inode);
  }

  async unlink(path: string): Promise<void> {
    await this.#change('unlink', path);
    this.#inode(path);
    this.#parent(path).names.delete(base(path));
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#change('makeDirectory', path);
    for (let at = path; at !== '/' && !this.#directories.has(at); at = dirname(at))
      this.#directories.set(at, { names: new Map(), durableNames: new Map() });
  }

  async removeDirectory(path: string): Promise<void> {
    await this.#change('removeDirectory', path);
    if (!this.#directories.delete(path)) throw failure('ENOENT', path);
  }

  async list(path: string): Promise<string[]> {
    await tick();
    const directory = this.#directories.get(path);
    if (directory === undefined) throw failure('ENOENT', path);
    const below = [...this.#directories.keys()].filter((other) => dirname(other) === path).map(base);
    return [...directory.names.keys(), ...below];
  }

  async status(path: string): Promise<FileStatus | undefined> {
    await tick();
    if (this.#directories.has(path)) return { bytes: 0, isDirectory: true, inode: 0n, device: 0n };
    const inode = this.#directories.get(dirname(path))?.names.get(base(path));
    return inode && { bytes: inode.data.length, isDirectory: false, inode: 0n, device: 0n };
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#change('syncDirectory', path);
    const directory = this.#directories.get(path);
    if (directory === undefined) throw failure('ENOENT', path);
    directory.durableNames = new Map(directory.names);
  }

  /** Before every change: counts it, and never comes back from it once the machine has stopped. */
  async #change(operation: SimOperation, path: string): Promise<void> {
    this.begin(operation, path);
    if (this.isStopped) await NEVER;
    await tick();
    if (this.isStopped) await NEVER;
  }

  begin(operation: SimOperation, path: string): void {
    if (this.isStopped) return;
    this.operations++;
    this.onOperation(operation, path);
  }

  #parent(path: string): Directory {
    const directory = this.#directories.get(dirname(path));
    if (directory === undefined) throw failure('ENOENT', path);
    return directory;
  }

  #inode(path: string): Inode {
    const inode = this.#parent(path).names.get(base(path));
    if (inode === undefined) throw failure('ENOENT', path);
    return inode;
  }
}

class SimFile implements StoreFile {
  readonly #fs: SimFs;
  readonly #path: string;
  readonly #inode: Inode;
  readonly #isDurable: boolean;

  constructor(fs: SimFs, path: string, inode: Inode, isDurable: boolean) {
    this.#fs = fs;
    this.#path = path;
    this.#inode = inode;
    this.#isDurable = isDurable;
  }

  write(
    buffer: Buffer,
    start: number,
    end: number,
    position: number,
    done: (error: Error | null, written: number) => void,
  ): void {
    const bytes = Buffer.from(buffer.subarray(start, end));
    try {
      this.#fs.begin('write', this.#path);
    } catch (error) {
      setImmediate(done, error as Error, 0);
      return;
    }
    if (this.#fs.isStopped) return;
    setImmediate(() => {
      if (this.#fs.isStopped) return;
      const inode = this.#inode;
      if (inode.isShared) {
        inode.data = inode.durable = Buffer.from(inode.data);
        inode.isShared = false;
      }
      inode.data = written(inode.data, bytes, position);
      this.#fs.writtenBytes += bytes.length;
      if (this.#isDurable) inode.durable = written(inode.durable, bytes, position);
      try {
        this.#fs.onWritten(this.#path);
      } catch (error) {
        done(error as Error, 0);
        return;
      }
      done(null, bytes.length);
    });
  }

  async read(buffer: Buffer, start: number, end: number, position: number): Promise<number> {
    await tick();
    return this.#inode.data.copy(buffer, start, position, position + end - start);
  }

  async size(): Promise<number> {
    await tick();
    return this.#inode.data.length;
  }

  async sync(): Promise<void> {
    this.#fs.begin('sync', this.#path);
    if (this.#fs.isStopped) await NEVER;
    await tick();
    if (this.#fs.isStopped) await NEVER;
    this.#inode.durable = this.#fs.isPowerSafe ? this.#inode.data : Buffer.from(this.#inode.data);
  }

  async truncate(bytes: number): Promise<void> {
    this.#fs.begin('truncate', this.#path);
    if (this.#fs.isStopped) await NEVER;
    await tick();
    if (this.#fs.isStopped) await NEVER;
    this.#inode.data = Buffer.from(this.#inode.data.subarray(0, bytes));
  }

  async close(): Promise<void> {
    await tick();
  }
}

const EMPTY = Buffer.alloc(0);
const NEVER = new Promise<never>(() => {});

function written(old: Buffer, bytes: Buffer, position: number): Buffer {
  const end = position + bytes.length;
  const data = end > old.length ? Buffer.concat([old, Buffer.alloc(end - old.length)]) : old;
  bytes.copy(data, position);
  return data;
}

function tick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function dirname(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

function base(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

export function failure(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
