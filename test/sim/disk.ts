import { RESERVE_DIRECTORY } from '../../src/files/store-folder.js';
import { failure } from '../store/sim-fs.js';

/** What a disk writes all at once. */
export const SECTOR_BYTES = 512;

/** A file on the server: sectors that are not there are zeros. Sectors are never changed, only replaced. */
export class Inode {
  sectors = new Map<number, Buffer>();
  bytes = 0;
  /** Names that it has. */
  links = 1;
}

export interface Directory {
  names: Map<string, Inode>;
  /** What a crash of the server leaves. */
  durableNames: Map<string, Inode>;
}

/**
 * The directories and files as the file server has them. Every call is atomic and happens now. What is written is durable;
 * what is on its way is the mount's.
 */
export class Disk {
  readonly directories = new Map<string, Directory>();
  /** Folders between which a file was renamed since the last sync of either: to a journaling file system that is one change. */
  readonly #bound: [Directory, Directory][] = [];

  find(path: string): Inode {
    const inode = this.parent(path).names.get(base(path));
    if (inode === undefined) throw failure('ENOENT', path);
    return inode;
  }

  parent(path: string): Directory {
    const directory = this.directories.get(dirname(path));
    if (directory === undefined) throw failure('ENOENT', path);
    return directory;
  }

  create(path: string): Inode {
    const { names } = this.parent(path);
    if (names.has(base(path))) throw failure('EEXIST', path);
    const inode = new Inode();
    names.set(base(path), inode);
    return inode;
  }

  rename(from: string, to: string): void {
    const source = this.directories.get(from);
    if (source !== undefined) {
      if ((this.directories.get(to)?.names.size ?? 0) > 0) throw failure('ENOTEMPTY', to);
      this.directories.delete(from);
      this.directories.set(to, source);
      return;
    }
    const inode = this.find(from);
    const [origin, target] = [this.parent(from), this.parent(to)];
    origin.names.delete(base(from));
    const replaced = target.names.get(base(to));
    if (replaced !== undefined) replaced.links--;
    target.names.set(base(to), inode);
    // What is taken from a reserve need not be so: there it is left to chance, file by file.
    if (origin !== target && !dirname(from).endsWith(RESERVE_DIRECTORY)) this.#bound.push([origin, target]);
  }

  /** Makes the names in a folder durable, and with it the other half of each rename that had one there. */
  sync(directory: Directory): void {
    directory.durableNames = new Map(directory.names);
    for (const bound of this.#bound.splice(0)) {
      if (!bound.includes(directory)) this.#bound.push(bound);
      else for (const other of bound) if (other !== directory) this.sync(other);
    }
  }

  link(from: string, to: string): void {
    const inode = this.find(from);
    const { names } = this.parent(to);
    if (names.has(base(to))) throw failure('EEXIST', to);
    inode.links++;
    names.set(base(to), inode);
  }

  unlink(path: string): void {
    this.find(path).links--;
    this.parent(path).names.delete(base(path));
  }

  /** With its parents. */
  makeDirectory(path: string): void {
    for (let at = path; at !== ''; at = dirname(at)) {
      if (!this.directories.has(at)) this.directories.set(at, { names: new Map(), durableNames: new Map() });
    }
  }

  removeDirectory(path: string): void {
    const directory = this.directories.get(path);
    if (directory === undefined) throw failure('ENOENT', path);
    if (directory.names.size > 0) throw failure('ENOTEMPTY', path);
    this.directories.delete(path);
  }

  list(path: string): string[] {
    const directory = this.directories.get(path);
    if (directory === undefined) throw failure('ENOENT', path);
    const below = [...this.directories.keys()].filter((other) => other !== '' && dirname(other) === path);
    return [...directory.names.keys(), ...below.map(base)];
  }

  /** The machine that has the disk loses its power: names that were not synced may be lost, or not. */
  crash(isKept: () => boolean): void {
    const bound = this.#bound.splice(0);
    const isLost = bound.length > 0 && !isKept();
    for (const directory of this.directories.values()) {
      const isBound = bound.some((pair) => pair.includes(directory));
      // A journaling file system keeps changes of names in their order: all, or those up to the last sync.
      if (isBound ? !isLost : isKept()) directory.durableNames = new Map(directory.names);
      else directory.names = new Map(directory.durableNames);
    }
  }
}

/** Splits what is written into whole sectors, over what is there. Zeros over nothing are left out. */
export function* sectorsOf(
  bytes: Buffer,
  position: number,
  old: (sector: number) => Buffer | undefined,
): Generator<[number, Buffer]> {
  for (let at = 0; at < bytes.length; ) {
    const sector = Math.floor((position + at) / SECTOR_BYTES);
    const offset = position + at - sector * SECTOR_BYTES;
    const count = Math.min(SECTOR_BYTES - offset, bytes.length - at);
    const before = old(sector);
    const piece = bytes.subarray(at, at + count);
    if (before !== undefined || !piece.equals(ZEROS.subarray(0, count))) {
      const next = Buffer.alloc(SECTOR_BYTES);
      before?.copy(next);
      piece.copy(next, offset);
      yield [sector, next];
    }
    at += count;
  }
}

const ZEROS = Buffer.alloc(SECTOR_BYTES);

export function dirname(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

export function base(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
