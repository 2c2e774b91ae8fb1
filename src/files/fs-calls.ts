import type { Clock } from '../clock/clock.js';
import type { FileStatus, OpenMode, StoreFile, StoreFs } from './fs.js';
import { StoreError } from './store-error.js';

/** A call to a file system that is under way. */
export interface FsCall {
  readonly operation: string;
  readonly path: string;
}

/** What one call reads at most: a long read that goes on is many calls that end. */
const PIECE_BYTES = 1024 * 1024;

/**
 * The calls that one user makes to a file system: whether they end or hang, and who has the last word. A call cannot be taken
 * back, but once they are refused none begins, and what one that ends late has brought is not told.
 */
export class FsCalls {
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #underWay = new Set<FsCall>();
  /** When one ended last, or the first of those that are under way began: whichever was later. */
  #movedMs = 0;
  #isRefused = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The same file system, its calls counted here. */
  count(inner: StoreFs): StoreFs {
    return new CountedFs(inner, this);
  }

  /** The oldest of the calls under way, and for how long none has ended; undefined if none is under way. */
  get oldest(): (FsCall & { silentMs: number }) | undefined {
    for (const call of this.#underWay) {
      return { ...call, silentMs: this.#clock.monotonicMs() - this.#movedMs };
    }
    return undefined;
  }

  /** From now on nothing is done but to close files. */
  refuse(): void {
    this.#isRefused = true;
  }

  /** @throws StoreError `closed` if it is refused, before or meanwhile */
  async run<T>(operation: string, path: string, call: () => Promise<T>): Promise<T> {
    this.check(path);
    const result = await this.track(operation, path, call);
    this.check(path);
    return result;
  }

  /** The same, and never refused. */
  async track<T>(operation: string, path: string, call: () => Promise<T>): Promise<T> {
    const underWay = { operation, path };
    if (this.#underWay.size === 0) this.#movedMs = this.#clock.monotonicMs();
    this.#underWay.add(underWay);
    try {
      return await call();
    } finally {
      this.#underWay.delete(underWay);
      this.#movedMs = this.#clock.monotonicMs();
    }
  }

  /** @throws StoreError `closed` if calls are refused */
  check(path: string): void {
    if (this.#isRefused) throw new StoreError('closed', `${path} is not used any more: it was given up`);
  }
}

/** The file behind one that is counted: for whoever goes on with it uncounted. */
export function uncounted(file: StoreFile): StoreFile {
  return file instanceof CountedFile ? file.inner : file;
}

class CountedFs implements StoreFs {
  readonly #inner: StoreFs;
  readonly #calls: FsCalls;

  constructor(inner: StoreFs, calls: FsCalls) {
    this.#inner = inner;
    this.#calls = calls;
  }

  async open(path: string, mode: OpenMode): Promise<StoreFile> {
    const calls = this.#calls;
    calls.check(path);
    const file = await calls.track('open', path, () => this.#inner.open(path, mode));
    const counted = new CountedFile(file, path, calls);
    try {
      calls.check(path);
    } catch (error) {
      // Nobody else will.
      counted.close().catch(() => {});
      throw error;
    }
    return counted;
  }

  readSync(path: string, buffer: Buffer, start: number, end: number, position: number): number {
    this.#calls.check(path);
    return this.#inner.readSync(path, buffer, start, end, position);
  }

  rename(from: string, to: string): Promise<void> {
    return this.#calls.run('rename', from, () => this.#inner.rename(from, to));
  }

  link(from: string, to: string): Promise<void> {
    return this.#calls.run('link', to, () => this.#inner.link(from, to));
  }

  unlink(path: string): Promise<void> {
    return this.#calls.run('unlink', path, () => this.#inner.unlink(path));
  }

  makeDirectory(path: string): Promise<void> {
    return this.#calls.run('mkdir', path, () => this.#inner.makeDirectory(path));
  }

  removeDirectory(path: string): Promise<void> {
    return this.#calls.run('rmdir', path, () => this.#inner.removeDirectory(path));
  }

  list(path: string): Promise<string[]> {
    return this.#calls.run('list', path, () => this.#inner.list(path));
  }

  status(path: string): Promise<FileStatus | undefined> {
    return this.#calls.run('stat', path, () => this.#inner.status(path));
  }

  syncDirectory(path: string): Promise<void> {
    return this.#calls.run('sync', path, () => this.#inner.syncDirectory(path));
  }
}

class CountedFile implements StoreFile {
  readonly inner: StoreFile;
  readonly #path: string;
  readonly #calls: FsCalls;

  constructor(inner: StoreFile, path: string, calls: FsCalls) {
    this.inner = inner;
    this.#path = path;
    this.#calls = calls;
  }

  write(
    buffer: Buffer,
    start: number,
    end: number,
    position: number,
    done: (error: Error | null, written: number) => void,
  ): void {
    const write = (): Promise<number> =>
      new Promise((resolve, reject) =>
        this.inner.write(buffer, start, end, position, (error, written) =>
          error === null ? resolve(written) : reject(error),
        ),
      );
    this.#calls.run('write', this.#path, write).then(
      (written) => done(null, written),
      (error: Error) => done(error, 0),
    );
  }

  async read(buffer: Buffer, start: number, end: number, position: number): Promise<number> {
    let at = start;
    let until: number;
    do {
      const from = at;
      until = Math.min(end, from + PIECE_BYTES);
      at += await this.#calls.run('read', this.#path, () =>
        this.inner.read(buffer, from, until, position + from - start),
      );
    } while (at === until && at < end);
    return at - start;
  }

  size(): Promise<number> {
    return this.#calls.run('stat', this.#path, () => this.inner.size());
  }

  sync(): Promise<void> {
    return this.#calls.run('sync', this.#path, () => this.inner.sync());
  }

  writtenNs(): Promise<bigint> {
    return this.#calls.run(
      'stat',
      this.#path,
      () => this.inner.writtenNs?.() ?? Promise.reject(new Error('this file system has no times')),
    );
  }

  truncate(bytes: number): Promise<void> {
    return this.#calls.run('truncate', this.#path, () => this.inner.truncate(bytes));
  }

  close(): Promise<void> {
    return this.#calls.track('close', this.#path, () => this.inner.close());
  }
}
