import type { FileStatus, OpenMode, StoreFile, StoreFs } from '../../src/files/fs.js';
import { must } from '../../src/util/assert.js';

/** Files keep their numbers when they are renamed. */
export type FileNumber = number;

/**
 * What reached the file system, in the order in which it did. A write and a sync have a beginning and an end: what lies between the two
 * may be on the disk or not. A change of names is noted when it has succeeded; a cut before it is one during it, too.
 */
export type DiskEvent =
  | { kind: 'folder'; path: string }
  | { kind: 'folder removed'; path: string }
  | { kind: 'folder renamed'; from: string; to: string }
  | { kind: 'create'; path: string; file: FileNumber }
  | { kind: 'rename'; from: string; to: string; file: FileNumber }
  | { kind: 'link'; path: string; file: FileNumber }
  | { kind: 'unlink'; path: string }
  | { kind: 'write'; file: FileNumber; write: number; position: number; bytes: Buffer; isDurable: boolean }
  | { kind: 'written'; file: FileNumber; write: number }
  | { kind: 'truncate'; file: FileNumber; write: number; bytes: number }
  | { kind: 'sync'; file: FileNumber; sync: number }
  | { kind: 'synced'; file: FileNumber; sync: number }
  | { kind: 'folder sync'; path: string; sync: number }
  | { kind: 'folder synced'; sync: number }
  /** Not the file system's: something that its users know from here on. */
  | { kind: 'mark'; mark: number };

/** Which syncs and durable writes are only claimed, so that a test sees what such a mistake leads to. */
export interface Omissions {
  /** Asked with a path and what was asked for. */
  isLeftOut(what: 'sync' | 'durable write' | 'folder sync', path: string): boolean;
}

/** A file system that records every change that goes through it. */
export class RecordingFs implements StoreFs {
  readonly events: DiskEvent[] = [];
  readonly #inner: StoreFs;
  readonly #omissions: Omissions | undefined;
  readonly #numbers = new Map<string, FileNumber>();
  readonly #folders = new Set<string>();
  #next = 0;

  constructor(inner: StoreFs, omissions?: Omissions) {
    this.#inner = inner;
    this.#omissions = omissions;
  }

  mark(mark: number): void {
    this.events.push({ kind: 'mark', mark });
  }

  async open(path: string, mode: OpenMode): Promise<StoreFile> {
    const file = await this.#inner.open(path, mode);
    if (mode === 'create') {
      this.#numbers.set(path, ++this.#next);
      this.events.push({ kind: 'create', path, file: this.#next });
    }
    return new RecordedFile(this, file, path, this.numberOf(path), mode === 'durable');
  }

  readSync(path: string, buffer: Buffer, start: number, end: number, position: number): number {
    return this.#inner.readSync(path, buffer, start, end, position);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#inner.rename(from, to);
    if (this.#folders.delete(from)) {
      this.#folders.add(to);
      for (const [path, file] of [...this.#numbers]) {
        if (!path.startsWith(`${from}/`)) continue;
        this.#numbers.delete(path);
        this.#numbers.set(to + path.slice(from.length), file);
      }
      this.events.push({ kind: 'folder renamed', from, to });
      return;
    }
    const file = this.numberOf(from);
    this.#numbers.delete(from);
    this.#numbers.set(to, file);
    this.events.push({ kind: 'rename', from, to, file });
  }

  async link(from: string, to: string): Promise<void> {
    await this.#inner.link(from, to);
    const file = this.numberOf(from);
    this.#numbers.set(to, file);
    this.events.push({ kind: 'link', path: to, file });
  }

  async unlink(path: string): Promise<void> {
    await this.#inner.unlink(path);
    this.#numbers.delete(path);
    this.events.push({ kind: 'unlink', path });
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#inner.makeDirectory(path);
    if (this.#folders.has(path)) return;
    this.#folders.add(path);
    this.events.push({ kind: 'folder', path });
  }

  async removeDirectory(path: string): Promise<void> {
    await this.#inner.removeDirectory(path);
    this.#folders.delete(path);
    this.events.push({ kind: 'folder removed', path });
  }

  list(path: string): Promise<string[]> {
    return this.#inner.list(path);
  }

  status(path: string): Promise<FileStatus | undefined> {
    return this.#inner.status(path);
  }

  async syncDirectory(path: string): Promise<void> {
    const isLeftOut = this.isLeftOut('folder sync', path);
    const sync = this.number();
    if (!isLeftOut) this.events.push({ kind: 'folder sync', path, sync });
    await this.#inner.syncDirectory(path);
    if (!isLeftOut) this.events.push({ kind: 'folder synced', sync });
  }

  isLeftOut(...asked: Parameters<Omissions['isLeftOut']>): boolean {
    return this.#omissions?.isLeftOut(...asked) ?? false;
  }

  /** The number of a write or a sync. */
  number(): number {
    return ++this.#next;
  }

  numberOf(path: string): FileNumber {
    return must(this.#numbers.get(path), `${path} was made under this recording`);
  }
}

class RecordedFile implements StoreFile {
  readonly #fs: RecordingFs;
  readonly #inner: StoreFile;
  readonly #path: string;
  readonly #file: FileNumber;
  readonly #isDurable: boolean;

  constructor(fs: RecordingFs, inner: StoreFile, path: string, file: FileNumber, isDurable: boolean) {
    this.#fs = fs;
    this.#inner = inner;
    this.#path = path;
    this.#file = file;
    this.#isDurable = isDurable;
  }

  write(
    buffer: Buffer,
    start: number,
    end: number,
    position: number,
    done: (error: Error | null, written: number) => void,
  ): void {
    const file = this.#file;
    const write = this.#fs.number();
    const isDurable = this.#isDurable && !this.#fs.isLeftOut('durable write', this.#path);
    const bytes = Buffer.from(buffer.subarray(start, end));
    this.#fs.events.push({ kind: 'write', file, write, position, bytes, isDurable });
    this.#inner.write(buffer, start, end, position, (error, written) => {
      // The inner one writes all or nothing.
      if (error === null) this.#fs.events.push({ kind: 'written', file, write });
      done(error, written);
    });
  }

  read(buffer: Buffer, start: number, end: number, position: number): Promise<number> {
    return this.#inner.read(buffer, start, end, position);
  }

  size(): Promise<number> {
    return this.#inner.size();
  }

  async sync(): Promise<void> {
    const file = this.#file;
    const isLeftOut = this.#fs.isLeftOut('sync', this.#path);
    const sync = this.#fs.number();
    if (!isLeftOut) this.#fs.events.push({ kind: 'sync', file, sync });
    await this.#inner.sync();
    if (!isLeftOut) this.#fs.events.push({ kind: 'synced', file, sync });
  }

  async truncate(bytes: number): Promise<void> {
    await this.#inner.truncate(bytes);
    this.#fs.events.push({ kind: 'truncate', file: this.#file, write: this.#fs.number(), bytes });
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
