import type { Clock } from '../clock/clock.js';
import type { FileStatus, OpenMode, StoreFile, StoreFs } from './fs.js';
import { StoreError } from './store-error.js';

/** A call to a file system that is under way. */
export interface FsCall {
  readonly operation: string;
  readonly path: string;
}

/** Limit of one read: a long read is split into many calls, whose ends show that it makes progress. */
const PIECE_BYTES = 1024 * 1024;

/**
 * Watches the calls of one user to a file system: whether they end or hang. A call cannot be taken back. But after `refuse` no call
 * begins, and the result of one that ends late is dropped.
 */
export class FsCalls {
  readonly #clock: Clock;
  /** The calls under way, oldest first. */
  readonly #underWay = new Set<FsCall>();
  /** The time of the last end of a call, or of the beginning of the first call under way, whichever was later. */
  #movedMs = 0;
  #isRefused = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The same file system, with its calls watched here. */
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

  /** Refuses all calls from now on, except closing files. */
  refuse(): void {
    this.#isRefused = true;
  }

  /** Runs a call. @throws StoreError `closed` if calls are refused, before or during the call */
  async run<T>(operation: string, path: string, call: () => Promise<T>): Promise<T> {
    this.check(path);
    const result = await this.track(operation, path, call);
    this.check(path);
    return result;
  }

  /** Runs a call that is never refused. */
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
    if (this.#isRefused) throw new StoreError('closed', `${path} is no longer used: it was given up`);
  }
}

/** The file behind a watched one, for use without being watched. */
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
      // Nothing else would close the file.
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
