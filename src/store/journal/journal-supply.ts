import type { Clock, Timer } from '../../clock/clock.js';
import { removeIfThere } from '../../files/file-io.js';
import type { FileId } from '../../files/file-names.js';
import { bugOf } from '../../util/bug.js';
import { canTryAgain, noRoom, SPACE_RETRY_MS } from '../room/no-room.js';
import type { Reserve } from '../room/reserve.js';
import {
  createJournalFile,
  type JournalFile,
  type JournalFileOptions,
  MIN_JOURNAL_BYTES,
  useRoom,
} from './journal-file.js';

export interface JournalSupplyOptions extends JournalFileOptions {
  clock: Clock;
  /** The size of the files to make. */
  journalBytes: number;
  reserve: Reserve;
}

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
    this.#working = createJournalFile(this.#options, this.#id, this.#options.journalBytes, this.#least).then(
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
    this.#least = MIN_JOURNAL_BYTES;
    this.#retryTimer = this.#options.clock.setTimer(SPACE_RETRY_MS, () => this.prepare());
    this.#owner.onSupplyChanged();
  }
}
