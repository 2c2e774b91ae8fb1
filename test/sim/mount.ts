import type { FileStatus, OpenMode, StoreFile, StoreFs } from '../../src/files/fs.js';
import { failure } from '../store/sim-fs.js';
import { base, type Disk, dirname, type Inode, SECTOR_BYTES, sectorsOf } from './disk.js';
import type { SimProcess } from './process.js';
import type { World } from './world.js';

/** What kind of file system a run has. */
export interface StorageKind {
  /** Several hosts with mounts of their own; otherwise one machine with a disk. */
  isNetwork: boolean;
  /** How long a mount may go on with what it remembers of a directory. 0: it remembers nothing. */
  cacheMs: number;
  /** How often the answer to a change of names is lost and the change asked for again. */
  lostAnswers: number;
  /** How often an operation takes much longer than usual. */
  slowTails: number;
}

interface Cached<T> {
  value: T;
  untilMs: number;
}

interface Dirty {
  sectors: Map<number, Buffer>;
  bytes: number;
}

/** How long operations take, milliseconds. */
const LATENCY = {
  local: { name: [0.01, 0.1], read: [0.01, 0.3], sync: [0.1, 2] },
  network: { name: [0.2, 2], read: [0.2, 2], sync: [0.5, 6] },
} as const;
/** Operations that data servers do; names are another server's. */
const DATA = new Set(['read', 'write', 'sync']);
const TAIL_MS = [20, 900] as const;
const WRITE_BACK_MS = [0, 8_000] as const;

/**
 * One machine's view of the disk: what it has not written back yet, what it remembers of directories, whether it gets
 * through at all. Processes that follow each other on a machine share it.
 */
export class Host {
  readonly dirty = new Map<Inode, Dirty>();
  readonly listings = new Map<string, Cached<string[]>>();
  readonly missing = new Map<string, Cached<true>>();
  readonly statuses = new Map<string, Cached<FileStatus | undefined>>();
  isCrashed = false;
  /** Error that the next write or sync fails with. */
  failNext: string | undefined;
  /** No room on the device. */
  isFull = false;
  /** Operations take so many times as long. */
  slowness = 1;
  /** What is read or written takes so much longer, and changes of names do not: they have servers of their own. */
  dataDelayMs = 0;
  readonly world: World;
  readonly disk: Disk;
  readonly kind: StorageKind;
  #isCut = false;
  #isDataCut = false;
  readonly #waiting: { run: () => void; isData: boolean }[] = [];

  constructor(world: World, disk: Disk, kind: StorageKind) {
    this.world = world;
    this.disk = disk;
    this.kind = kind;
  }

  /** The storage does not answer. What is asked waits, as a hard mount does. */
  cut(): void {
    this.#isCut = true;
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  heal(): void {
    this.#isCut = false;
    this.#goOn();
  }

  /** The same for what is read and written alone: names have a server of their own, which answers. */
  cutData(): void {
    this.#isDataCut = true;
  }

  get isDataCut(): boolean {
    return this.#isDataCut;
  }

  healData(): void {
    this.#isDataCut = false;
    this.#goOn();
  }

  #goOn(): void {
    // Retransmissions know no order.
    for (const { run, isData } of this.#waiting.splice(0))
      this.world.after(this.world.between(0, 30), () => this.perform(run, isData));
  }

  perform(run: () => void, isData: boolean): void {
    if (this.#isCut || (isData && this.#isDataCut)) this.#waiting.push({ run, isData });
    // What has left a machine that crashed arrives, or does not.
    else if (!this.isCrashed || this.world.chance(0.5)) run();
  }

  latency(what: 'name' | 'read' | 'sync'): number {
    const { world, kind } = this;
    if (world.chance(kind.slowTails)) {
      world.count('slow storage');
      return world.between(...TAIL_MS);
    }
    const [min, max] = LATENCY[kind.isNetwork ? 'network' : 'local'][what];
    const delayMs = what === 'name' ? 0 : world.between(0.3, 1) * this.dataDelayMs;
    return world.between(min, max) * this.slowness + delayMs;
  }

  /** This machine has changed names in a directory: what it remembered of it is void. */
  changed(directory: string): void {
    this.listings.delete(directory);
    for (const cache of [this.missing, this.statuses])
      for (const path of cache.keys()) if (dirname(path) === directory) cache.delete(path);
  }

  remembered<T>(cache: Map<string, Cached<T>>, path: string): Cached<T> | undefined {
    const cached = cache.get(path);
    return cached !== undefined && cached.untilMs > this.world.nowMs ? cached : undefined;
  }

  remember<T>(cache: Map<string, Cached<T>>, path: string, value: T): void {
    const { cacheMs } = this.kind;
    if (cacheMs > 0) cache.set(path, { value, untilMs: this.world.nowMs + this.world.between(0, cacheMs) });
  }

  dirtyOf(inode: Inode): Dirty {
    let dirty = this.dirty.get(inode);
    if (dirty === undefined) {
      dirty = { sectors: new Map(), bytes: inode.bytes };
      this.dirty.set(inode, dirty);
    }
    return dirty;
  }

  sector(inode: Inode, sector: number): Buffer | undefined {
    return this.dirty.get(inode)?.sectors.get(sector) ?? inode.sectors.get(sector);
  }

  bytesOf(inode: Inode): number {
    return Math.max(inode.bytes, this.dirty.get(inode)?.bytes ?? 0);
  }

  flush(inode: Inode, isKept: () => boolean = () => true): void {
    const dirty = this.dirty.get(inode);
    if (dirty === undefined) return;
    for (const [sector, bytes] of dirty.sectors) if (isKept()) inode.sectors.set(sector, bytes);
    inode.bytes = Math.max(inode.bytes, dirty.bytes);
    this.dirty.delete(inode);
  }

  /** A process has died; its machine writes back what it left, some time. */
  writeBackLater(): void {
    for (const inode of this.dirty.keys())
      this.world.after(this.world.between(...WRITE_BACK_MS), () =>
        this.perform(() => this.flush(inode), true),
      );
  }

  /** The machine loses its power: of what was not written back, anything may have got to the disk. */
  crash(): void {
    const { world } = this;
    this.isCrashed = true;
    for (const inode of [...this.dirty.keys()]) {
      const share = world.chance(0.5) ? 0 : world.between(0, 1);
      this.flush(inode, () => world.chance(share));
    }
  }
}

/** The file system as one process on a host has it. */
export class SimMount implements StoreFs {
  readonly host: Host;
  readonly process: SimProcess;
  /** Only where it is a matter of microseconds. */
  readonly renameSync: ((from: string, to: string) => void) | undefined;

  constructor(host: Host, process: SimProcess) {
    this.host = host;
    this.process = process;
    if (!host.kind.isNetwork) this.renameSync = (from, to) => this.#renameNow(from, to);
  }

  async open(path: string, mode: OpenMode): Promise<StoreFile> {
    const { host } = this;
    if (mode === 'create') {
      const inode = await this.change('create', path, () => {
        if (host.isFull) throw failure('ENOSPC', path);
        return host.disk.create(path);
      });
      return new SimFile(this, path, inode, false, false);
    }
    return this.ask('open', path, 'name', () => {
      if (host.remembered(host.missing, path) !== undefined) {
        host.world.count('stale lookup');
        throw failure('ENOENT', path);
      }
      let inode: Inode;
      try {
        inode = host.disk.find(path);
      } catch (error) {
        host.remember(host.missing, path, true);
        throw error;
      }
      const isPinned = mode === 'read' && host.kind.isNetwork && host.world.chance(0.5);
      return new SimFile(this, path, inode, mode === 'durable', isPinned);
    });
  }

  readSync(path: string, buffer: Buffer, start: number, end: number, position: number): number {
    const { host } = this;
    const inode = host.disk.find(path);
    return copyOut((sector) => host.sector(inode, sector), host.bytesOf(inode), buffer, start, end, position);
  }

  rename(from: string, to: string): Promise<void> {
    return this.change('rename', from, () => {
      this.host.disk.rename(from, to);
      this.host.changed(dirname(to));
    });
  }

  link(from: string, to: string): Promise<void> {
    return this.change('link', to, () => {
      if (this.host.isFull) throw failure('ENOSPC', to);
      this.host.disk.link(from, to);
    });
  }

  unlink(path: string): Promise<void> {
    return this.change('unlink', path, () => this.host.disk.unlink(path));
  }

  makeDirectory(path: string): Promise<void> {
    return this.change('makeDirectory', path, () => this.host.disk.makeDirectory(path));
  }

  removeDirectory(path: string): Promise<void> {
    return this.change('removeDirectory', path, () => this.host.disk.removeDirectory(path));
  }

  list(path: string): Promise<string[]> {
    const { host } = this;
    return this.ask('list', path, 'name', () => {
      const cached = host.remembered(host.listings, path);
      if (cached !== undefined) {
        host.world.count('stale listing');
        return [...cached.value];
      }
      const names = host.disk.list(path);
      host.remember(host.listings, path, names);
      return [...names];
    });
  }

  status(path: string): Promise<FileStatus | undefined> {
    const { host } = this;
    return this.ask('status', path, 'name', () => {
      const cached = host.remembered(host.statuses, path);
      if (cached !== undefined) return cached.value;
      const status = this.#statusNow(path);
      host.remember(host.statuses, path, status);
      return status;
    });
  }

  #statusNow(path: string): FileStatus | undefined {
    const { disk } = this.host;
    if (disk.directories.has(path)) return { bytes: 0, isDirectory: true, inode: 0n, device: 0n };
    const inode = disk.directories.get(dirname(path))?.names.get(base(path));
    return inode && { bytes: this.host.bytesOf(inode), isDirectory: false, inode: 0n, device: 0n };
  }

  syncDirectory(path: string): Promise<void> {
    return this.ask('syncDirectory', path, 'sync', () => {
      const directory = this.host.disk.directories.get(path);
      if (directory === undefined) throw failure('ENOENT', path);
      this.host.disk.sync(directory);
    });
  }

  #renameNow(from: string, to: string): void {
    this.process.strike('renameSync');
    this.host.disk.rename(from, to);
  }

  /** Asks the server: the effect happens once, some time between the question and the answer. */
  ask<T>(operation: string, path: string, latency: 'name' | 'read' | 'sync', effect: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.request(operation, path, latency, effect, (error, value) => {
        if (error !== undefined) reject(error);
        else resolve(value as T);
      });
    });
  }

  request<T>(
    operation: string,
    path: string,
    latency: 'name' | 'read' | 'sync',
    effect: () => T,
    done: (error: Error | undefined, value: T | undefined) => void,
  ): void {
    this.process.strike(`${operation} ${path}`);
    // Struck in the middle of its work, it does the rest when it wakes up.
    this.process.deliver(() => this.#send(operation, latency, effect, done));
  }

  #send<T>(
    operation: string,
    latency: 'name' | 'read' | 'sync',
    effect: () => T,
    done: (error: Error | undefined, value: T | undefined) => void,
  ): void {
    const { host, process } = this;
    const { world } = host;
    const ms = host.latency(latency);
    // Now the question takes longer, now the answer.
    const effectMs = ms * world.between(0.05, 0.95);
    const perform = (): void => {
      let value: T | undefined;
      let error: Error | undefined;
      try {
        value = effect();
      } catch (cause) {
        error = cause as Error;
      }
      world.after(ms - effectMs, () => process.deliver(() => done(error, value)));
    };
    world.after(effectMs, () => host.perform(perform, DATA.has(operation)));
  }

  /** A change of names. On a network its answer may be lost: then it is done, asked for again, and answered as what it is by then. */
  async change<T>(operation: string, path: string, effect: () => T): Promise<T> {
    const { host } = this;
    const { world, kind } = host;
    const doIt = (): T => {
      const value = effect();
      host.changed(dirname(path));
      return value;
    };
    const isAskedTwice =
      ['rename', 'unlink', 'link', 'removeDirectory'].includes(operation) && world.chance(kind.lostAnswers);
    if (isAskedTwice) {
      world.count('lost answer');
      await this.ask(operation, path, 'name', doIt).catch(() => {});
    }
    return this.ask(operation, path, 'name', doIt);
  }
}

class SimFile implements StoreFile {
  readonly #mount: SimMount;
  readonly #path: string;
  readonly #inode: Inode;
  readonly #isDurable: boolean;
  /** What the file was when it was opened: a mount may serve that until the next opening. */
  readonly #pinned: { sectors: Map<number, Buffer>; bytes: number } | undefined;

  constructor(mount: SimMount, path: string, inode: Inode, isDurable: boolean, isPinned: boolean) {
    this.#mount = mount;
    this.#path = path;
    this.#inode = inode;
    this.#isDurable = isDurable;
    if (isPinned) this.#pinned = { sectors: new Map(inode.sectors), bytes: inode.bytes };
  }

  write(
    buffer: Buffer,
    start: number,
    end: number,
    position: number,
    done: (error: Error | null, written: number) => void,
  ): void {
    const mount = this.#mount;
    const { host, process } = mount;
    const { world } = host;
    const effect = (): number => {
      this.#checkProblem();
      let count = end - start;
      if (count > 1 && world.chance(0.005)) {
        world.count('short write');
        count = 1 + world.random.below(count - 1);
      }
      const bytes = buffer.subarray(start, start + count);
      if (!this.#isDurable) {
        const dirty = host.dirtyOf(this.#inode);
        for (const [sector, content] of sectorsOf(bytes, position, (at) => host.sector(this.#inode, at)))
          dirty.sectors.set(sector, content);
        dirty.bytes = Math.max(dirty.bytes, position + count);
        return count;
      }
      // Nobody waits for it any more: any part of it may get to the disk.
      const isTorn = (process.isDead || host.isCrashed) && world.chance(0.6);
      const share = world.chance(0.4) ? 0 : world.between(0, 1);
      if (isTorn) world.count('torn write');
      this.#through(bytes, position, () => !isTorn || world.chance(share));
      return count;
    };
    mount.request('write', this.#path, this.#isDurable ? 'sync' : 'name', effect, (error, written) =>
      done(error ?? null, written ?? 0),
    );
  }

  #through(bytes: Buffer, position: number, isWritten: () => boolean): void {
    const inode = this.#inode;
    const { host } = this.#mount;
    const overlay = host.dirty.get(inode);
    for (const [sector, content] of sectorsOf(bytes, position, (at) => host.sector(inode, at))) {
      if (!isWritten()) continue;
      inode.sectors.set(sector, content);
      overlay?.sectors.delete(sector);
    }
    inode.bytes = Math.max(inode.bytes, position + bytes.length);
  }

  #checkProblem(): void {
    const { host } = this.#mount;
    const { failNext, world } = host;
    if (failNext !== undefined) {
      host.failNext = undefined;
      world.count(`write fails with ${failNext}`);
      throw failure(failNext, this.#path);
    }
    this.#checkHandle();
  }

  /** A server knows nothing of who has a file open elsewhere. */
  #checkHandle(): void {
    const { host } = this.#mount;
    if (!host.kind.isNetwork || this.#inode.links > 0 || !host.world.chance(0.7)) return;
    host.world.count('stale handle');
    throw failure('ESTALE', this.#path);
  }

  read(buffer: Buffer, start: number, end: number, position: number): Promise<number> {
    const { host } = this.#mount;
    const inode = this.#inode;
    const pinned = this.#pinned;
    return this.#mount.ask('read', this.#path, 'read', () => {
      this.#checkHandle();
      const size =
        pinned === undefined
          ? host.bytesOf(inode)
          : Math.max(pinned.bytes, host.dirty.get(inode)?.bytes ?? 0);
      const sectorAt = (sector: number): Buffer | undefined =>
        pinned === undefined
          ? host.sector(inode, sector)
          : (host.dirty.get(inode)?.sectors.get(sector) ?? pinned.sectors.get(sector));
      return copyOut(sectorAt, size, buffer, start, end, position);
    });
  }

  size(): Promise<number> {
    return this.#mount.ask('size', this.#path, 'name', () =>
      this.#pinned === undefined ? this.#mount.host.bytesOf(this.#inode) : this.#pinned.bytes,
    );
  }

  sync(): Promise<void> {
    const { host } = this.#mount;
    return this.#mount.ask('sync', this.#path, 'sync', () => {
      this.#checkProblem();
      host.flush(this.#inode);
    });
  }

  truncate(bytes: number): Promise<void> {
    const { host } = this.#mount;
    const inode = this.#inode;
    return this.#mount.ask('truncate', this.#path, 'name', () => {
      this.#checkProblem();
      host.flush(inode);
      cut(inode, bytes);
    });
  }

  close(): Promise<void> {
    const { host } = this.#mount;
    return this.#mount.ask('close', this.#path, 'name', () => {
      // Who opens it next on another machine sees what was written.
      if (host.kind.isNetwork) host.flush(this.#inode);
    });
  }
}

/** Sectors are never changed, only replaced: who has the old ones goes on with these. */
function cut(inode: Inode, bytes: number): void {
  inode.bytes = Math.min(inode.bytes, bytes);
  const sectors = new Map<number, Buffer>();
  for (const [sector, content] of inode.sectors) {
    const left = bytes - sector * SECTOR_BYTES;
    if (left <= 0) continue;
    sectors.set(sector, left < SECTOR_BYTES ? Buffer.from(content).fill(0, left) : content);
  }
  inode.sectors = sectors;
}

function copyOut(
  sectorAt: (sector: number) => Buffer | undefined,
  size: number,
  buffer: Buffer,
  start: number,
  end: number,
  position: number,
): number {
  const count = Math.max(0, Math.min(end - start, size - position));
  buffer.fill(0, start, start + count);
  const first = Math.floor(position / SECTOR_BYTES);
  const last = Math.floor((position + count - 1) / SECTOR_BYTES);
  for (let sector = first; sector <= last; sector++) {
    const content = sectorAt(sector);
    if (content === undefined) continue;
    const from = Math.max(position, sector * SECTOR_BYTES);
    const to = Math.min(position + count, (sector + 1) * SECTOR_BYTES);
    content.copy(buffer, start + from - position, from - sector * SECTOR_BYTES, to - sector * SECTOR_BYTES);
  }
  return count;
}
