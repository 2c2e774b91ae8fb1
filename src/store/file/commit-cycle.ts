import type { Clock, Timer } from '../../clock/clock.js';
import type { Gathering } from '../batch/gathering.js';
import type { Journal, JournalPosition } from '../types/journal.js';

/** What the cycle closes, and what it calls at that moment. */
export interface CommitCycleOptions {
  clock: Clock;
  gathering: Gathering;
  /** Adds what has been noted for the batch that closes next. */
  complete: () => void;
  /** All that is appended lies before `position`, and none behind it. */
  onSnapshotPoint: (position: JournalPosition) => void;
}

const LAZY_COMMIT_MS = 15;
const CLOSING_ROUNDS = 3;

/**
 * Decides when the gathering batch closes. Group commit: it closes when a commit is wanted and the journal is free; while one batch is
 * being written the next one gathers.
 */
export class CommitCycle {
  readonly #options: CommitCycleOptions;
  readonly #journal: Journal;
  readonly #gathering: Gathering;
  #isWanted = false;
  #isSnapshotWanted = false;
  /** A file was begun since it was wanted: batches come faster than they are written, and there is never nothing behind one. */
  #isSnapshotOverdue = false;
  #lazyTimer: Timer | undefined;

  constructor(options: CommitCycleOptions, journal: Journal) {
    this.#options = options;
    this.#journal = journal;
    this.#gathering = options.gathering;
  }

  get isSnapshotWanted(): boolean {
    return this.#isSnapshotWanted;
  }

  commit(): void {
    if (!this.#gathering.isOpen) return;
    this.#isWanted = true;
    this.#pump();
  }

  commitLater(): void {
    if (this.#lazyTimer !== undefined || this.#journal.isStopped) return;
    this.#lazyTimer = this.#options.clock.setTimer(LAZY_COMMIT_MS, this.#commitNow);
  }

  readonly #commitNow = (): void => {
    this.#lazyTimer = undefined;
    this.#isWanted = true;
    this.#pump();
  };

  /** Calls `onSnapshotPoint` as soon as there is one. */
  requestSnapshot(): void {
    this.#isSnapshotWanted = true;
    this.#pump();
  }

  /** The journal is free. */
  onFree(): void {
    if (this.#isWanted || this.#isSnapshotWanted || !this.#journal.isEmpty) this.#pump();
  }

  /** The journal has begun another file. @param isSnapshotWanted there is enough for a checkpoint */
  onRolled(isSnapshotWanted: boolean): void {
    this.#isSnapshotOverdue = this.#isSnapshotWanted;
    if (isSnapshotWanted) this.#isSnapshotWanted = true;
  }

  /** The journal has ended. */
  onFailed(): void {
    this.#gathering.stop();
    this.#lazyTimer?.cancel();
  }

  /** Writes what is gathered, waits for it, and closes the journal. */
  async close(): Promise<void> {
    const journal = this.#journal;
    this.#lazyTimer?.cancel();
    // What is being written, what is gathered, and the progress that came with it.
    for (let round = 1; round <= CLOSING_ROUNDS && !journal.isStopped; round++) {
      this.#isWanted = true;
      this.#pump();
      // With no room to write to, waiting would have no end.
      if (journal.isStuck) break;
      await journal.whenCommitted(this.#gathering.appended).catch(() => {});
    }
    this.#gathering.stop();
    this.#lazyTimer?.cancel();
    await journal.close();
  }

  #pump(): void {
    const journal = this.#journal;
    if (!journal.isFree) return;
    if (journal.isEmpty) {
      if (!this.#isWanted && !this.#isSnapshotWanted) return;
      this.#isWanted = false;
      this.#closeBatch();
      if (journal.isEmpty) {
        if (this.#isSnapshotWanted) this.#takeSnapshot(false);
        return;
      }
    }
    if (!journal.writeNext() || !this.#isSnapshotWanted) return;
    if (!this.#gathering.isOpen && this.#takeSnapshot(false)) return;
    if (!this.#isSnapshotOverdue) return;
    this.#closeBatch();
    this.#takeSnapshot(true);
  }

  #closeBatch(): void {
    this.#options.complete();
    if (this.#gathering.isOpen) this.#gathering.close();
  }

  #takeSnapshot(isForced: boolean): boolean {
    const position = this.#journal.mark(isForced);
    if (position === undefined) return false;
    this.#isSnapshotWanted = this.#isSnapshotOverdue = false;
    this.#options.onSnapshotPoint(position);
    return true;
  }
}
