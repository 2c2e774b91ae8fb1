import { dirname } from 'node:path';
import type { Clock, Timer } from '../../clock/clock.js';
import { removeIfThere, renameOwn, writeZeros } from '../../files/file-io.js';
import { type Extension, type FileId, fileName, parseNames } from '../../files/file-names.js';
import type { StoreFs } from '../../files/fs.js';
import { isMissing, isNoSpace } from '../../files/store-error.js';
import { RESERVE_DIRECTORY } from '../../files/store-folder.js';
import { bugOf } from '../../util/bug.js';
import { canTryAgain, noRoom, SPACE_RETRY_MS } from './no-room.js';

/** A file that is set aside: it has its blocks and its inode, and no broker uses it yet. */
export interface Room {
  readonly path: string;
  readonly bytes: number;
}

/** How much is set aside of one kind. */
export interface RoomSize {
  readonly count: number;
  /** With fewer there is problem. */
  readonly leastCount: number;
  readonly bytes: number;
  /** What will do if there is no room for more. */
  readonly leastBytes: number;
}

export interface ReserveOptions {
  fs: StoreFs;
  clock: Clock;
  dir: string;
  epoch: number;
  sizes: Readonly<Record<Extension, RoomSize>>;
}

interface Kept extends Room {
  id: FileId;
  bytes: number;
}

const KINDS = ['log', 'ckpt', 'seg'] as const;
/** How often it is tried to have more than the least. */
const MORE_RETRY_MS = 10_000;
/** One part in so many of what is free may be set aside: a small volume is there for messages. */
const SHARE_OF_FREE = 4;
/**
 * The next checkpoint may be larger than the last one by this, and finds room. What is made anew is as much larger as the second number says: so
 * it is made a few times while checkpoints grow, not each time.
 */
const CHECKPOINT_LEAST = 1.5;
const CHECKPOINT_MADE = 2;

/**
 * Room to get out: files made while there is room, so that a takeover, a restart, and a checkpoint that gives room back need none. A broker
 * uses one by renaming it, in which only one can succeed: no new inode, no new block. Before that, a file belongs to none. One that the reserve of an
 * older term has is adopted by a rename too, so that a predecessor that has not noticed yet finds it gone.
 */
export class Reserve {
  /** Why there is no room to set aside, for people. */
  problem: string | undefined;
  /** Called when more is set aside, and when `problem` has changed. */
  onChanged: () => void = () => {};
  /** Whether there may be more than the least: not while the journal itself has no room. */
  mayHaveMore: () => boolean = () => true;
  /** Anything but want of room: what a failed write left is unknown. */
  onFailed: (error: Error) => void = () => {};
  readonly #options: ReserveOptions;
  readonly #directory: string;
  readonly #kept: Record<Extension, Kept[]> = { log: [], ckpt: [], seg: [] };
  #number = 0;
  #adopting: Promise<void> | undefined;
  /** What is set aside for a segment is being cut: until that has ended, it stays where it is. It never fails. */
  #cutting: Promise<unknown> | undefined;
  #refilling: Promise<void> | undefined;
  #retryTimer: Timer | undefined;
  /** It has been tried to set everything aside. */
  #isKnown = false;
  /** The folder is there: files can be renamed into it. */
  #isFolderThere = false;
  /** It survives a power cut, too. */
  #isFolderDurable = false;
  #isClosed = false;
  /** Of the last checkpoint. */
  #checkpointBytes = 0;
  #segmentBytes: number;
  /** It was tried to set aside a segment of `#segmentBytes`, and there was no room for it. */
  #isSegmentLacking = false;

  constructor(options: ReserveOptions) {
    this.#options = options;
    this.#directory = `${options.dir}/${RESERVE_DIRECTORY}`;
    this.#segmentBytes = options.sizes.seg.bytes;
  }

  /** The size of the largest segment that can be written in any case; undefined while it is not known what can be set aside. */
  get segmentBytes(): number | undefined {
    return this.#isKnown ? (this.#kept.seg[0]?.bytes ?? 0) : undefined;
  }

  /** Checkpoints are of such a size by now: there is to be room for a larger one. */
  wantCheckpoint(bytes: number): void {
    this.#checkpointBytes = bytes;
  }

  /**
   * A message is so large that it needs a larger segment than is set aside: one is set aside, if there is room.
   *
   * @returns false if there was no room when it was tried last; it is tried again every ten seconds
   */
  wantSegment(bytes: number): boolean {
    if (this.#isSegmentLacking) return false;
    this.#segmentBytes = Math.max(this.#segmentBytes, bytes);
    this.refill();
    return true;
  }

  /** Makes what older terms have set aside this one's. */
  adopt(): Promise<void> {
    this.#adopting ??= this.#adopt().catch((error: unknown) => {
      this.#adopting = undefined;
      throw error;
    });
    return this.#adopting;
  }

  /** Takes one out, for a caller that renames it at once. @param least bytes that it must have */
  async take(kind: Extension, least = 0): Promise<Room | undefined> {
    await this.adopt();
    while (kind === 'seg' && this.#cutting !== undefined) await this.#cutting;
    const kept = this.#kept[kind];
    const index = kept.findIndex(({ bytes }) => bytes >= least);
    if (index < 0) return undefined;
    if (this.#isKnown) this.#refillLater(SPACE_RETRY_MS);
    return kept.splice(index, 1)[0];
  }

  #refillLater(ms: number): void {
    this.#retryTimer?.cancel();
    if (!this.#isClosed) this.#retryTimer = this.#options.clock.setTimer(ms, () => this.refill());
  }

  /** Gives back room of what is set aside for a segment, if one of `least` bytes is left. @returns whether it did */
  async cut(bytes: number, least: number): Promise<boolean> {
    await this.adopt();
    while (this.#cutting !== undefined) await this.#cutting;
    const [kept] = this.#kept.seg;
    if (kept === undefined || bytes <= 0 || kept.bytes - bytes < least) return false;
    const cut = this.#cut(kept, kept.bytes - bytes).finally(() => {
      this.#cutting = undefined;
    });
    this.#cutting = cut.catch(() => {});
    await cut;
    return true;
  }

  /** Under a temporary name: a successor that adopts what is there must not get a file that this term still cuts when it wakes up. */
  async #cut(kept: Kept, bytes: number): Promise<void> {
    const { fs } = this.#options;
    const temporary = `${kept.path}.tmp`;
    await renameOwn(fs, kept.path, temporary);
    try {
      const file = await fs.open(temporary, 'write');
      try {
        await file.truncate(bytes);
        kept.bytes = bytes;
        await file.sync();
      } finally {
        await file.close();
      }
    } finally {
      await renameOwn(fs, temporary, kept.path);
    }
  }

  /** A file that was taken is not needed after all. Its content does not matter. */
  async give(kind: Extension, path: string): Promise<void> {
    const { fs } = this.#options;
    const status = await fs.status(path);
    if (status === undefined) return;
    if (!this.#isFolderThere) {
      await removeIfThere(fs, path);
      return;
    }
    const id = this.#nextId();
    const own = this.#pathOf(kind, id);
    await renameOwn(fs, path, own);
    this.#kept[kind].push({ id, path: own, bytes: status.bytes });
  }

  /**
   * Keeps a file of this term that would be removed, if there is too little of its kind. It must not be open.
   *
   * @returns false if it is not needed
   */
  async keep(kind: 'log' | 'ckpt', path: string): Promise<boolean> {
    const { fs, sizes } = this.#options;
    if (!this.#isKnown || !this.#isFolderThere || this.#kept[kind].length >= sizes[kind].count) return false;
    const status = await fs.status(path);
    if (status === undefined || status.bytes < sizes[kind].leastBytes) return false;
    const id = this.#nextId();
    const own = this.#pathOf(kind, id);
    const temporary = `${own}.tmp`;
    await renameOwn(fs, path, temporary);
    let { bytes } = status;
    if (kind === 'log') {
      bytes = Math.min(bytes, sizes.log.bytes);
      const file = await fs.open(temporary, 'write').catch(async (error: unknown) => {
        await removeIfThere(fs, temporary).catch(() => {});
        throw error;
      });
      try {
        await file.truncate(bytes);
        await writeZeros(file, 0, bytes);
      } finally {
        await file.close();
      }
    }
    await renameOwn(fs, temporary, own);
    this.#kept[kind].push({ id, path: own, bytes });
    return true;
  }

  /** Sets aside what is missing, in the background. Tried again once a second while there is no room. */
  refill(): void {
    if (this.#isClosed || this.#refilling !== undefined) return;
    this.#retryTimer?.cancel();
    this.#refilling = this.#refill()
      .then(
        (isWhole) => {
          this.#tried(undefined);
          if (!isWhole) this.#refillLater(MORE_RETRY_MS);
        },
        (error: Error) => {
          if (canTryAgain(error)) this.#tried(noRoom(error));
          else if (!this.#isClosed)
            this.onFailed(new Error(`No room set aside: ${error.message}`, { cause: error }));
        },
      )
      .catch((thrown: unknown) => this.onFailed(bugOf(thrown)))
      .finally(() => {
        this.#refilling = undefined;
      });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#retryTimer?.cancel();
    await this.#refilling;
  }

  #tried(problem: string | undefined): void {
    if (this.#isClosed) return;
    this.#isKnown = true;
    this.problem = problem;
    if (problem !== undefined) this.#refillLater(SPACE_RETRY_MS);
    this.onChanged();
  }

  async #adopt(): Promise<void> {
    const { fs, epoch } = this.#options;
    const names = await fs.list(this.#directory).then(
      (found) => {
        this.#isFolderThere = true;
        return found;
      },
      (error: unknown) => {
        if (isMissing(error)) return [];
        throw error;
      },
    );
    for (const name of names) {
      if (name.endsWith('.tmp')) await removeIfThere(fs, `${this.#directory}/${name}`);
    }
    for (const kind of KINDS) {
      for (const id of parseNames(names, kind)) {
        if (id.epoch > epoch) continue;
        const own = id.epoch === epoch ? id : this.#nextId();
        if (id.epoch === epoch) this.#number = Math.max(this.#number, id.number);
        else await renameIfThere(fs, this.#pathOf(kind, id), this.#pathOf(kind, own));
        // A rename whose answer was lost says that it was not there. What is there now counts.
        const status = await fs.status(this.#pathOf(kind, own));
        if (status !== undefined)
          this.#kept[kind].push({ id: own, path: this.#pathOf(kind, own), bytes: status.bytes });
      }
    }
  }

  /** @returns whether everything is there. @throws the file system's error if there is not even the least of each kind */
  async #refill(): Promise<boolean> {
    const { fs, sizes } = this.#options;
    await this.adopt();
    if (!this.#isFolderDurable) {
      await fs.makeDirectory(this.#directory);
      this.#isFolderThere = true;
      // Without it, a power cut takes away all that is set aside, and the disk may be full by then.
      await fs.syncDirectory(this.#options.dir);
      this.#isFolderDurable = true;
    }
    const segmentBytes = this.#segmentBytes;
    for (const kind of KINDS) await this.#fill(kind, sizes[kind].leastCount, sizes[kind].leastBytes);
    if (!this.mayHaveMore()) {
      this.#isSegmentLacking = this.#isSmaller(segmentBytes);
      return false;
    }
    let isWhole = true;
    for (const kind of KINDS) {
      try {
        const { least, made } = await this.#bytesOf(kind);
        await this.#fill(kind, sizes[kind].count, least, made);
      } catch (error) {
        if (!canTryAgain(error)) throw error;
        isWhole = false;
      }
    }
    this.#isSegmentLacking = this.#isSmaller(segmentBytes);
    return isWhole && !this.#isSegmentLacking;
  }

  /** Whether a message has asked for a segment of so many bytes, and none is set aside. */
  #isSmaller(segmentBytes: number): boolean {
    const usualBytes = this.#options.sizes.seg.bytes;
    return segmentBytes > usualBytes && (this.#kept.seg[0]?.bytes ?? 0) < segmentBytes;
  }

  /** Makes so many of a kind, each of so many bytes at least; and of so many, where there is plenty of room. */
  async #fill(kind: Extension, count: number, least: number, made = least): Promise<void> {
    const kept = this.#kept[kind];
    const isEnough = (): boolean => kept.filter(({ bytes }) => bytes >= least).length >= count;
    while (!isEnough() && !this.#isClosed) {
      kept.push(await this.#make(kind, least, made));
      while (this.#cutting !== undefined) await this.#cutting;
      // One that is too small by now is in the way.
      const at = kept.length > count ? kept.findIndex(({ bytes }) => bytes < least) : -1;
      const [small] = at >= 0 ? kept.splice(at, 1) : [];
      if (small !== undefined) await removeIfThere(this.#options.fs, small.path);
    }
  }

  /** Bytes that one must have to count, and bytes of one that is made: more of them where there is plenty of room by now. */
  async #bytesOf(kind: Extension): Promise<{ least: number; made: number }> {
    const { bytes: usualBytes, leastBytes } = this.#options.sizes[kind];
    if (kind === 'ckpt') {
      const least = Math.max(usualBytes, Math.ceil(this.#checkpointBytes * CHECKPOINT_LEAST));
      return { least, made: this.#checkpointBytes * CHECKPOINT_MADE };
    }
    const bytes = kind === 'seg' ? this.#segmentBytes : usualBytes;
    const isThere = this.#kept[kind].every((room) => room.bytes >= bytes);
    const isMade = !isThere && (await this.#freeBytes()) / SHARE_OF_FREE >= bytes;
    const least = isMade ? bytes : leastBytes;
    return { least, made: least };
  }

  async #freeBytes(): Promise<number> {
    return (await this.#options.fs.freeBytes?.(this.#directory)) ?? 0;
  }

  async #make(kind: Extension, least: number, made: number): Promise<Kept> {
    const { fs, sizes } = this.#options;
    const free = fs.freeBytes === undefined ? Number.POSITIVE_INFINITY : await this.#freeBytes();
    let bytes = Math.max(least, made, sizes[kind].bytes);
    while (bytes > least && bytes > free / SHARE_OF_FREE) bytes = Math.max(least, Math.floor(bytes / 2));
    for (;;) {
      try {
        return await this.#makeOf(kind, bytes);
      } catch (error) {
        if (!isNoSpace(error) || bytes === least) throw error;
        bytes = Math.max(least, Math.floor(bytes / 2));
      }
    }
  }

  async #makeOf(kind: Extension, bytes: number): Promise<Kept> {
    const { fs } = this.#options;
    const id = this.#nextId();
    const path = this.#pathOf(kind, id);
    const temporary = `${path}.tmp`;
    try {
      const file = await fs.open(temporary, 'create');
      try {
        await writeZeros(file, 0, bytes);
      } finally {
        await file.close();
      }
      await renameOwn(fs, temporary, path);
    } catch (error) {
      await removeIfThere(fs, temporary).catch(() => {});
      throw error;
    }
    await fs.syncDirectory(this.#directory);
    return { id, path, bytes };
  }

  #nextId(): FileId {
    return { epoch: this.#options.epoch, number: ++this.#number };
  }

  #pathOf(kind: Extension, id: FileId): string {
    return `${this.#directory}/${fileName(id, kind)}`;
  }
}

/**
 * Gives room that was taken out of a reserve its name. Its former one is gone for good before anything is written: to a file system without a
 * journal the two halves of a rename are two changes, and a power cut may keep both names. A successor would find what it holds by now set aside, and write over it.
 */
export async function takeRoom(fs: StoreFs, room: Room, path: string): Promise<void> {
  await renameOwn(fs, room.path, path);
  await fs.syncDirectory(dirname(room.path));
}

async function renameIfThere(fs: StoreFs, from: string, to: string): Promise<void> {
  await fs.rename(from, to).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
}
