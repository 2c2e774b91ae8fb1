import type { Clock, Timer } from '../../clock/clock.js';
import { removeIfThere, renameOwn } from '../../files/file-io.js';
import type { FileId } from '../../files/file-names.js';
import { isMissing, isNoSpace } from '../../files/store-error.js';
import { bugOf } from '../../util/bug.js';
import { canTryAgain, noRoom, SPACE_RETRY_MS } from '../room/no-room.js';
import type { Reserve } from '../room/reserve.js';
import { segmentBytesFor } from '../room/segment-room.js';
import {
  createGrowingFile,
  createJournalFile,
  type JournalFile,
  type JournalFileOptions,
  MIN_JOURNAL_BYTES,
  recycleJournalFile,
  type SpareFile,
  temporaryPath,
  useRoom,
} from './journal-file.js';

export interface JournalSupplyOptions extends JournalFileOptions {
  clock: Clock;
  /** The size of the files to make. */
  journalBytes: number;
  reserve: Reserve;
}

/** In a store at its limits, a checkpoint gives up as many files as were filled since the one before: four, at most, most often. */
const MAX_SPARE_FILES = 5;
/** Where room is scarce, a checkpoint comes with each file. */
const MAX_SPARE_WHERE_SCARCE = 2;
/** Room is scarce if there is none for so many more files: as many as are filled before a checkpoint comes. */
const AMPLE_FILES = 4;

/** What the supply reports to the journal. */
export interface JournalSupplyOwner {
  /** A file is ready, or `problem` has changed. */
  onSupplyChanged(): void;
  onSupplyFailed(error: Error): void;
}

/** Keeps the next journal file ready while the present one fills. */
export class JournalSupply {
  /** Why there is no room for a file, for people. */
  problem: string | undefined;
  readonly #options: JournalSupplyOptions;
  readonly #owner: JournalSupplyOwner;
  #id: FileId;
  /** Bytes that the next file must have. */
  #least = MIN_JOURNAL_BYTES;
  #ready: JournalFile | undefined;
  #working: Promise<void> | undefined;
  #retryTimer: Timer | undefined;
  #isHeldBack = false;
  #isStopped = false;
  #isRoomScarce = false;
  /** There was no room for a file, in this term. What is free says nothing of a quota. */
  #hasLackedRoom = false;
  readonly #spares: SpareFile[] = [];

  /** @param first the first file to make */
  constructor(options: JournalSupplyOptions, owner: JournalSupplyOwner, first: FileId) {
    this.#options = options;
    this.#owner = owner;
    this.#id = first;
  }

  /** The next file as it stands ready; undefined if there is none yet. It stays the supply's until it is taken. */
  get ready(): JournalFile | undefined {
    return this.#ready;
  }

  /**
   * The disk has no room for all the files that are filled before a checkpoint is worth its work: messages would be refused that a checkpoint
   * makes room for. Found out when a file is made.
   */
  get isRoomScarce(): boolean {
    return this.#isRoomScarce || this.#hasLackedRoom;
  }

  /** A record waits for a file of so many bytes: the next one is made that large, and made anew if it is not. */
  enlarge(bytes: number): void {
    this.#least = Math.max(this.#least, bytes);
    const tooSmall = this.#ready;
    if (tooSmall === undefined || tooSmall.bytes >= bytes || this.#isHeldBack || this.#isStopped) return;
    this.#ready = undefined;
    this.#replace(tooSmall);
  }

  /** Begins to make the next file, if it is neither there nor being made. */
  prepare(): void {
    if (this.#working !== undefined || this.#ready !== undefined || this.#isStopped || this.#isHeldBack)
      return;
    this.#retryTimer?.cancel();
    this.#working = this.#make().then(
      (file) => {
        this.#working = undefined;
        this.#ready = file;
        this.problem = undefined;
        // It may have been wanted larger meanwhile.
        this.enlarge(this.#least);
        this.#owner.onSupplyChanged();
      },
      (error: unknown) => this.#onError(error as Error),
    );
    this.#working.catch(this.#onThrown);
  }

  async #make(): Promise<JournalFile> {
    const options = this.#options;
    const wanted = Math.max(options.journalBytes, this.#least);
    this.#isRoomScarce = await this.#hasScarceRoom();
    const mayGrow = this.#mayGrowTo(wanted);
    for (;;) {
      const at = this.#spares.findIndex(({ bytes }) => mayGrow || bytes >= this.#least);
      const [spare] = at < 0 ? [] : this.#spares.splice(at, 1);
      if (spare === undefined) break;
      const file = await recycleJournalFile(options, this.#id, spare, mayGrow ? wanted : undefined);
      if (file !== undefined) return file;
    }
    return mayGrow
      ? await createGrowingFile(options, this.#id, wanted)
      : await createJournalFile(options, this.#id, options.journalBytes, this.#least);
  }

  async #hasScarceRoom(): Promise<boolean> {
    const { fs, directory, journalBytes } = this.#options;
    // A hint that is not to be had stops nothing.
    const freeBytes = await fs.freeBytes?.(directory).catch(() => undefined);
    if (freeBytes === undefined) return false;
    const spareBytes = this.#spares.reduce((sum, { bytes }) => sum + bytes, 0);
    return freeBytes + spareBytes < AMPLE_FILES * journalBytes;
  }

  /** Whether room is set aside for a file that is not filled, beside the present one, and for a segment of both. */
  #mayGrowTo(bytes: number): boolean {
    const { reserve, journalBytes } = this.#options;
    const { segmentBytes = 0, problem } = reserve;
    return problem === undefined && segmentBytes >= segmentBytesFor(journalBytes + bytes);
  }

  /**
   * Takes a file of this term that no checkpoint needs any more, to use it again. It must not be open, and nothing may read from it.
   *
   * @returns false if it is not wanted
   */
  async keep(path: string): Promise<boolean> {
    const { fs, journalBytes } = this.#options;
    const isWanted = !this.#isStopped && !this.#isHeldBack && this.problem === undefined;
    const most = this.isRoomScarce ? MAX_SPARE_WHERE_SCARCE : MAX_SPARE_FILES;
    if (!isWanted || this.#spares.length >= most) return false;
    const bytes = (await fs.status(path))?.bytes ?? 0;
    // A small one means another file soon. One that went on beyond its size is used up to that: what it has more is for the next such case.
    if (bytes > 2 * journalBytes || bytes * 2 < journalBytes) return false;
    const spare = temporaryPath(path);
    try {
      await renameOwn(fs, path, spare);
    } catch (error) {
      if (!isMissing(error)) throw error;
      return true;
    }
    this.#spares.push({ path: spare, bytes: Math.min(bytes, journalBytes) });
    return true;
  }

  /** Gives back the room of the files that are kept to be used again. */
  async dropSpares(): Promise<void> {
    for (const { path } of this.#spares.splice(0)) await removeIfThere(this.#options.fs, path);
  }

  /** The next file, which is the caller's then; undefined if there is none yet. */
  take(): JournalFile | undefined {
    const file = this.#ready;
    if (file === undefined) return undefined;
    this.#ready = undefined;
    this.#least = MIN_JOURNAL_BYTES;
    this.#id = { epoch: this.#id.epoch, number: this.#id.number + 1 };
    return file;
  }

  /** What is no message needs the next file, and none can be made: one of those that were set aside. */
  useReserve(): void {
    if (this.#working !== undefined || this.#ready !== undefined || this.#isStopped) return;
    this.#working = this.#useReserve().then(
      () => {
        this.#working = undefined;
        if (this.#ready !== undefined) this.#owner.onSupplyChanged();
      },
      (error: unknown) => this.#onError(error as Error),
    );
    this.#working.catch(this.#onThrown);
  }

  async #useReserve(): Promise<void> {
    const room = await this.#options.reserve.take('log');
    if (room === undefined) return;
    this.#ready = await useRoom(this.#options, this.#options.reserve, this.#id, room);
  }

  /** Gives the next file up, and makes none until `resume`: its room is needed for something that gives back more. */
  holdBack(): void {
    this.#isHeldBack = true;
    this.dropSpares().catch((error: unknown) => this.#owner.onSupplyFailed(error as Error));
    const file = this.#ready;
    if (file === undefined) return;
    this.#ready = undefined;
    this.#replace(file);
  }

  /** Removes a file that stood ready, and makes another one as soon as that may be. */
  #replace(file: JournalFile): void {
    this.#working = this.#remove(file)
      .catch((error: unknown) => this.#owner.onSupplyFailed(error as Error))
      .finally(() => {
        this.#working = undefined;
        // It may have been resumed meanwhile.
        this.prepare();
      });
  }

  resume(): void {
    this.#isHeldBack = false;
    this.prepare();
  }

  stop(): void {
    this.#isStopped = true;
    this.#retryTimer?.cancel();
  }

  /** Stops, and closes what is open. @param isClean whether the unused file is to go */
  async close(isClean: boolean): Promise<void> {
    this.stop();
    await this.#working;
    if (isClean) await this.dropSpares();
    const file = this.#ready;
    this.#ready = undefined;
    if (file === undefined) return;
    if (isClean) await this.#remove(file);
    else await file.file.close();
  }

  async #remove(file: JournalFile): Promise<void> {
    const { fs, reserve } = this.#options;
    await file.file.close();
    if (file.isReserve) await reserve.give('log', file.path);
    else await removeIfThere(fs, file.path);
  }

  readonly #onThrown = (thrown: unknown): void => this.#owner.onSupplyFailed(bugOf(thrown));

  #onError(error: Error): void {
    this.#working = undefined;
    if (this.#isStopped) return;
    if (!canTryAgain(error)) {
      this.#owner.onSupplyFailed(new Error(`No new journal file: ${error.message}`, { cause: error }));
      return;
    }
    this.problem = noRoom(error);
    if (isNoSpace(error)) this.#hasLackedRoom = true;
    this.#least = MIN_JOURNAL_BYTES;
    this.#retryTimer = this.#options.clock.setTimer(SPACE_RETRY_MS, () => this.prepare());
    this.#owner.onSupplyChanged();
  }
}
