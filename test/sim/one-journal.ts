import type { OpenMode, StoreFile, StoreFs } from '../../src/files/fs.js';
import { failure } from '../store/sim-fs.js';
import { SECTOR_BYTES } from './disk.js';
import type { Machine, Machines, Mutation } from './machine.js';

interface Region {
  epoch: number;
  number: number;
  base: number;
  bytes: number;
}

/** Also before it has its name: a file in this way of doing it has its region from the beginning. */
const JOURNAL = /^(.*\/journal)\/(\d+)\.(\d+)\.log(?:\.tmp)?$/;

/**
 * One journal for all terms, as it would be if files did not bear their epoch: each term goes on behind the last byte that
 * it found, in the same file. To the store it looks as if there were the files that it asks for.
 */
export function oneJournal(): NonNullable<Mutation['fs']> {
  const byCluster = new WeakMap<Machines, Region[]>();
  return (real, node) => {
    const regions = byCluster.get(node.cluster) ?? [];
    byCluster.set(node.cluster, regions);
    return new OneJournalFs(real, node, regions).fs();
  };
}

class OneJournalFs {
  readonly #real: StoreFs;
  readonly #node: Machine;
  readonly #regions: Region[];

  constructor(real: StoreFs, node: Machine, regions: Region[]) {
    this.#real = real;
    this.#node = node;
    this.#regions = regions;
  }

  fs(): StoreFs {
    const real = this.#real;
    return {
      open: (path, mode) => this.#open(path, mode),
      readSync: (path, buffer, start, end, position) => {
        const match = JOURNAL.exec(path);
        const offset = match === null ? 0 : this.#find(match, path).base;
        return real.readSync(backing(match, path), buffer, start, end, position + offset);
      },
      rename: async (from, to) => {
        if (from !== `${to}.tmp` || JOURNAL.exec(to) === null) return real.rename(from, to);
        await real.status(to);
      },
      link: (from, to) => real.link(from, to),
      unlink: async (path) => {
        const match = JOURNAL.exec(path);
        if (match === null) return real.unlink(path);
        await real.status(path);
        this.#regions.splice(this.#regions.indexOf(this.#find(match, path)), 1);
      },
      makeDirectory: (path) => real.makeDirectory(path),
      removeDirectory: (path) => real.removeDirectory(path),
      list: async (path) => {
        const names = await real.list(path);
        if (!path.endsWith('/journal')) return names;
        return [...names.filter((name) => name !== 'all.log'), ...this.#regions.map(nameOf)];
      },
      status: (path) => real.status(path),
      syncDirectory: (path) => real.syncDirectory(path),
    };
  }

  async #open(path: string, mode: OpenMode): Promise<StoreFile> {
    const match = JOURNAL.exec(path);
    if (match === null) return this.#real.open(path, mode);
    if (mode !== 'create') {
      const region = this.#find(match, path);
      return new RegionFile(await this.#real.open(backing(match, path), mode), region);
    }
    const all = backing(match, path);
    const file = await this.#real.open(all, 'create').catch(() => this.#real.open(all, 'write'));
    const region = {
      epoch: Number(match[2]),
      number: Number(match[3]),
      base: this.#end(all, match),
      bytes: 0,
    };
    this.#regions.push(region);
    return new RegionFile(file, region);
  }

  /** Where a term goes on: behind its own last region, or behind what it found of others. */
  #end(path: string, match: RegExpExecArray): number {
    const own = this.#regions.filter(({ epoch }) => epoch === Number(match[2]));
    const last = own.at(-1);
    if (last !== undefined) return last.base + last.bytes;
    const sectors = [...this.#node.cluster.disk.find(path).sectors.keys()];
    for (const { base, bytes } of this.#regions.toReversed()) {
      const used = sectors.filter((at) => at * SECTOR_BYTES >= base && at * SECTOR_BYTES < base + bytes);
      // More than its header: files are made before they are needed.
      if (used.length > 1) return (Math.max(...used) + 1) * SECTOR_BYTES;
    }
    return 0;
  }

  #find(match: RegExpExecArray, path: string): Region {
    const region = this.#regions.find(
      ({ epoch, number }) => epoch === Number(match[2]) && number === Number(match[3]),
    );
    if (region === undefined) throw failure('ENOENT', path);
    return region;
  }
}

class RegionFile implements StoreFile {
  readonly #file: StoreFile;
  readonly #region: Region;

  constructor(file: StoreFile, region: Region) {
    this.#file = file;
    this.#region = region;
  }

  write(
    buffer: Buffer,
    start: number,
    end: number,
    position: number,
    done: (error: Error | null, written: number) => void,
  ): void {
    const region = this.#region;
    region.bytes = Math.max(region.bytes, position + end - start);
    this.#file.write(buffer, start, end, position + region.base, done);
  }

  async read(buffer: Buffer, start: number, end: number, position: number): Promise<number> {
    const { base, bytes } = this.#region;
    const count = Math.max(0, Math.min(end - start, bytes - position));
    return this.#file.read(buffer, start, start + count, position + base);
  }

  async size(): Promise<number> {
    await this.#file.size();
    return this.#region.bytes;
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  async truncate(bytes: number): Promise<void> {
    await this.#file.size();
    this.#region.bytes = bytes;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

function backing(match: RegExpExecArray | null, path: string): string {
  return match === null ? path : `${match[1]}/all.log`;
}

function nameOf({ epoch, number }: Region): string {
  return `${String(epoch).padStart(8, '0')}.${String(number).padStart(6, '0')}.log`;
}
