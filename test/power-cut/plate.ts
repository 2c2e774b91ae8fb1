import { must } from '../../src/util/assert.js';
import type { SeededRandom } from '../broker/model-random.js';
import { SECTOR_BYTES } from '../sim/disk.js';
import { SimFs } from '../store/sim-fs.js';
import type { DiskEvent, FileNumber } from './recording.js';

/** What a power cut does to what was not synced. */
export type Cut =
  /** All of it is gone. */
  | 'synced'
  /** All of it is there. */
  | 'written'
  /** Chance decides, for each sector and each name: in so many of 100 cases the newest is there. */
  | { readonly random: SeededRandom; readonly keptPercent: number };

interface Version {
  /** The write that left the sector so. */
  readonly write: number;
  readonly bytes: Buffer;
  /** Left by a truncation: it counts only together with the size that this left. */
  readonly isCut: boolean;
}

const ZERO_SECTOR = Buffer.alloc(SECTOR_BYTES);

/** A file: what is durable of it, and what of later writes may be. */
class PlateFile {
  /** As a reader sees it. */
  #cache = Buffer.alloc(0);
  #bytes = 0;
  readonly #durable = new Map<number, Buffer>();
  #durableBytes = 0;
  /** The versions of each sector, oldest first. */
  readonly #versions = new Map<number, Version[]>();
  readonly #sizes: { write: number; bytes: number }[] = [];
  /** Writes that have ended, and are not durable yet. */
  readonly #ended = new Set<number>();
  readonly #durableWrites = new Set<number>();
  /** What any cut leaves, while nothing is in doubt. */
  #image: Buffer | undefined;

  write(write: number, position: number, bytes: Buffer, isDurable: boolean): void {
    const end = position + bytes.length;
    if (end > this.#cache.length) {
      const larger = Buffer.alloc(Math.max(end, this.#cache.length * 2));
      this.#cache.copy(larger);
      this.#cache = larger;
    }
    bytes.copy(this.#cache, position);
    if (end > this.#bytes) {
      this.#bytes = end;
      this.#sizes.push({ write, bytes: end });
    }
    this.#remember(write, position, end, false);
    if (isDurable) this.#durableWrites.add(write);
  }

  written(write: number): void {
    if (this.#durableWrites.delete(write)) this.#settle((other) => other === write);
    else this.#ended.add(write);
  }

  truncate(write: number, bytes: number): void {
    this.#cache.fill(0, bytes);
    const before = this.#bytes;
    this.#bytes = bytes;
    this.#sizes.push({ write, bytes });
    this.#remember(write, bytes, before, true);
    this.#ended.add(write);
  }

  /** @returns what a sync that begins now makes durable when it ends */
  sync(): () => void {
    const ended = new Set(this.#ended);
    return () => {
      this.#settle((write) => ended.has(write));
      for (const write of ended) this.#ended.delete(write);
    };
  }

  image(cut: Cut): Buffer {
    if (this.#versions.size > 0 || this.#sizes.length > 0) return this.#madeImage(cut);
    this.#image ??= this.#madeImage(cut);
    return this.#image;
  }

  #madeImage(cut: Cut): Buffer {
    const sizes = [{ write: 0, bytes: this.#durableBytes }, ...this.#sizes];
    const size = must(pick(cut, sizes), 'there is the durable size');
    const image = Buffer.alloc(size.bytes);
    const put = (sector: number, bytes: Buffer): void => {
      if (sector * SECTOR_BYTES < image.length) bytes.copy(image, sector * SECTOR_BYTES);
    };
    for (const [sector, bytes] of this.#durable) if (!this.#versions.has(sector)) put(sector, bytes);
    for (const [sector, versions] of this.#versions) {
      const isValid = ({ write, isCut }: Version): boolean => !isCut || write <= size.write;
      const valid = versions.filter(isValid);
      const cutAt = valid.findLastIndex(({ isCut }) => isCut);
      const durable = { write: 0, bytes: this.#durable.get(sector) ?? ZERO_SECTOR, isCut: false };
      const chosen = pick(cut, cutAt < 0 ? [durable, ...valid] : valid.slice(cutAt));
      put(sector, must(chosen, 'each sector has a version').bytes);
    }
    return image;
  }

  #remember(write: number, start: number, end: number, isCut: boolean): void {
    this.#image = undefined;
    for (let sector = Math.floor(start / SECTOR_BYTES); sector * SECTOR_BYTES < end; sector++) {
      const at = sector * SECTOR_BYTES;
      const now = this.#cache.subarray(at, at + SECTOR_BYTES);
      const isZero = now.equals(ZERO_SECTOR.subarray(0, now.length));
      const bytes = isZero ? ZERO_SECTOR : Buffer.from(now);
      const versions = this.#versions.get(sector);
      if (versions === undefined) this.#versions.set(sector, [{ write, bytes, isCut }]);
      else versions.push({ write, bytes, isCut });
    }
  }

  /** These writes are durable, and with them what lay below them. */
  #settle(isDurable: (write: number) => boolean): void {
    for (const [sector, versions] of this.#versions) {
      const last = versions.findLastIndex(({ write }) => isDurable(write));
      if (last < 0) continue;
      this.#durable.set(sector, must(versions[last], 'it was found').bytes);
      if (last + 1 === versions.length) this.#versions.delete(sector);
      else versions.splice(0, last + 1);
    }
    const last = this.#sizes.findLastIndex(({ write }) => isDurable(write));
    if (last < 0) return;
    this.#durableBytes = must(this.#sizes[last], 'it was found').bytes;
    this.#sizes.splice(0, last + 1);
  }
}

function keptUntil(cut: Cut, least: number, most: number): number {
  if (cut === 'synced') return least;
  if (cut === 'written' || cut.random.chance(cut.keptPercent)) return most;
  return least + cut.random.below(most - least + 1);
}

function pick<T>(cut: Cut, versions: readonly T[]): T | undefined {
  if (cut === 'synced') return versions[0];
  if (cut === 'written') return versions.at(-1);
  return cut.random.chance(cut.keptPercent) ? versions.at(-1) : cut.random.pick(versions);
}

interface Folder {
  path: string;
  readonly durable: Map<string, FileNumber>;
  /** Changes up to this one are durable. */
  synced: number;
}

/** A change of names in one folder, or between two. It happens as a whole. */
interface NameChange {
  readonly order: number;
  readonly effects: readonly { folder: Folder; name: string; file: FileNumber | undefined }[];
}

/**
 * The disk under a recording, event by event, with what a power cut may leave of it.
 *
 * A sector that was written and not synced may have any version since the last sync. The size of a file, too, is one of those that
 * it has had. Changes of names are kept in their order, either in the whole file system, as journaling ones do, or in each folder
 * by itself. A rename between two folders is there in both or in none. Folders themselves count as durable.
 */
export class Plate {
  readonly #files = new Map<FileNumber, PlateFile>();
  readonly #folders = new Map<string, Folder>();
  /** Those that are not durable. */
  #changes: NameChange[] = [];
  readonly #syncs = new Map<number, () => void>();
  #order = 0;

  apply(event: DiskEvent): void {
    switch (event.kind) {
      case 'mark':
        break;
      case 'folder':
        for (let at = event.path; at !== '' && !this.#folders.has(at); at = folderOf(at))
          this.#folders.set(at, { path: at, durable: new Map(), synced: 0 });
        break;
      case 'folder removed':
        this.#folders.delete(event.path);
        break;
      case 'folder renamed': {
        const folder = this.#folder(event.from);
        this.#folders.delete(event.from);
        folder.path = event.to;
        this.#folders.set(event.to, folder);
        break;
      }
      case 'create':
        this.#files.set(event.file, new PlateFile());
        this.#change([event.path, event.file]);
        break;
      case 'link':
        this.#change([event.path, event.file]);
        break;
      case 'unlink':
        this.#change([event.path, undefined]);
        break;
      case 'rename':
        this.#change([event.from, undefined], [event.to, event.file]);
        break;
      case 'write':
        this.#file(event.file).write(event.write, event.position, event.bytes, event.isDurable);
        break;
      case 'written':
        this.#file(event.file).written(event.write);
        break;
      case 'truncate':
        this.#file(event.file).truncate(event.write, event.bytes);
        break;
      case 'sync':
        this.#syncs.set(event.sync, this.#file(event.file).sync());
        break;
      case 'folder sync': {
        // What lies above the store is there.
        const folder = this.#folders.get(event.path);
        const order = this.#order;
        if (folder !== undefined) this.#syncs.set(event.sync, () => this.#syncFolder(folder, order));
        break;
      }
      case 'synced':
      case 'folder synced':
        this.#syncs.get(event.sync)?.();
        this.#syncs.delete(event.sync);
    }
  }

  /** What a machine finds that starts after the cut. */
  image(cut: Cut): SimFs {
    const files = new Map<string, Buffer>();
    const images = new Map<FileNumber, Buffer>();
    for (const [folder, names] of this.#names(cut)) {
      for (const [name, file] of names) {
        const image = images.get(file) ?? this.#file(file).image(cut);
        images.set(file, image);
        files.set(`${folder.path}/${name}`, image);
      }
    }
    return SimFs.of(this.#folders.keys(), files);
  }

  #names(cut: Cut): Map<Folder, Map<string, FileNumber>> {
    const names = new Map([...this.#folders.values()].map((folder) => [folder, new Map(folder.durable)]));
    const until = this.#kept(cut);
    for (const { order, effects } of this.#changes) {
      for (const { folder, name, file } of effects) {
        if (order > (until.get(folder) ?? 0)) continue;
        if (file === undefined) names.get(folder)?.delete(name);
        else names.get(folder)?.set(name, file);
      }
    }
    return names;
  }

  /** Up to which change each folder is kept. */
  #kept(cut: Cut): Map<Folder, number> {
    const folders = [...this.#folders.values()];
    const groups = groupsOf(folders, this.#changes);
    // One journal for all of them, or folders for themselves.
    const isOneJournal = cut === 'synced' || cut === 'written' || cut.random.chance(50);
    const kept = new Map<Folder, number>();
    for (const group of isOneJournal && cut !== 'synced' ? [folders] : groups) {
      const least = Math.max(0, ...group.map(({ synced }) => synced));
      for (const folder of group) kept.set(folder, keptUntil(cut, least, this.#order));
    }
    return kept;
  }

  #change(...effects: readonly [path: string, file: FileNumber | undefined][]): void {
    this.#changes.push({
      order: ++this.#order,
      effects: effects.map(([path, file]) => ({
        folder: this.#folder(folderOf(path)),
        name: nameOf(path),
        file,
      })),
    });
  }

  #syncFolder(synced: Folder, order: number): void {
    // The other half of a rename comes along.
    for (const group of groupsOf([...this.#folders.values()], this.#changes))
      if (group.includes(synced)) for (const folder of group) folder.synced = Math.max(folder.synced, order);
    const isDurable = ({ order, effects }: NameChange): boolean =>
      effects.every(({ folder }) => folder.synced >= order);
    for (const change of this.#changes.filter(isDurable)) {
      for (const { folder, name, file } of change.effects) {
        if (file === undefined) folder.durable.delete(name);
        else folder.durable.set(name, file);
      }
    }
    this.#changes = this.#changes.filter((change) => !isDurable(change));
  }

  #folder(path: string): Folder {
    return must(this.#folders.get(path), `the folder ${path} was made`);
  }

  #file(file: FileNumber): PlateFile {
    return must(this.#files.get(file), 'a file that is written was made');
  }
}

/** Folders between which files were renamed hang together. */
function groupsOf(folders: readonly Folder[], changes: readonly NameChange[]): Folder[][] {
  const groups = new Map(folders.map((folder) => [folder, [folder]]));
  for (const { effects } of changes) {
    const [first, ...others] = effects.map(({ folder }) => groups.get(folder));
    if (first === undefined) continue;
    for (const other of others) {
      if (other === undefined || other === first) continue;
      first.push(...other);
      for (const folder of other) groups.set(folder, first);
    }
  }
  return [...new Set(groups.values())];
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
