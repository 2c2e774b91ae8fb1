import type { Timer } from '../../clock/clock.js';
import type { FileId } from '../../files/file-names.js';
import { isNoSpace, StoreError } from '../../files/store-error.js';
import type { Measures } from '../../measures/measures.js';
import { assert } from '../../util/assert.js';
import { bugOf } from '../../util/bug.js';
import { writeBatchHeader } from '../format/batch-format.js';
import { FILE_HEADER_BYTES } from '../format/file-header.js';
import { canTryAgain, SPACE_RETRY_MS } from '../room/no-room.js';
import type { Batch, Journal, JournalListener, JournalPosition } from '../types/journal.js';
import type { BatchId } from '../types/store.js';
import { FencedCommits } from './fenced-commits.js';
import { FileJournalRoom, type Gathered, SAFE_BATCH_BYTES } from './file-journal-room.js';
import { FILLED_AT_ONCE_BYTES, type JournalFile } from './journal-file.js';
import { JournalSupply, type JournalSupplyOptions } from './journal-supply.js';
import { JournalTail } from './journal-tail.js';
import { RetiredFiles } from './retired-files.js';

export interface FileJournalOptions extends JournalSupplyOptions {
  epoch: number;
  /** Ends when everything that was synced before the call may be acknowledged. Fails when the lease is lost. */
  fence: ((batch?: number) => Promise<void>) | undefined;
  /** Whether what is written is durable. */
  isSynced: boolean;
  measures: Measures;
  /** What older terms left in journals that no checkpoint stands for. */
  recoveredBytes: number;
}

/**
 * A batch up to this size that comes to where its file has no blocks yet brings zeros for those behind it: the metadata that a file system
 * writes for each piece of a growing file costs more than these.
 */
const SMALL_BATCH_BYTES = 16 * 1024;
const ZEROS = Buffer.alloc(FILLED_AT_ONCE_BYTES);
/** What a file system takes beside the bytes of a batch. */
const CUT_MARGIN_BYTES = 64 * 1024;

/**
 * The journal in files: each batch is one write from one piece of memory, to a file opened O_DSYNC. When a file is full, the next one is
 * ready.
 */
export class FileJournal implements Journal {
  readonly room: FileJournalRoom;
  readonly #options: FileJournalOptions;
  readonly #listener: JournalListener;
  readonly #tail: JournalTail;
  readonly #supply: JournalSupply;
  readonly #retired: RetiredFiles;
  readonly #commits: FencedCommits;
  /** No other file may be begun before the checkpoint at the mark is made. */
  #isHeld = false;
  #isWriting = false;
  /** Bytes of the present batch that are written. */
  #written = 0;
  #writeBegunMs = 0;
  #onIdle: (() => void) | undefined;
  #isStopped = false;
  #writeTimer: Timer | undefined;

  constructor(
    options: FileJournalOptions,
    listener: JournalListener,
    gathered: Gathered,
    first: JournalFile,
    nextIndex: number,
  ) {
    const { reserve } = options;
    const { epoch, number } = first.id;
    this.#options = options;
    this.#listener = listener;
    this.#tail = new JournalTail(first, nextIndex, options.recoveredBytes);
    this.#commits = new FencedCommits({
      ...options,
      onCommitted: (batch) => listener.onCommitted(batch),
      onFailed: (error) => this.fail(error),
    });
    const supplyOwner = {
      onSupplyChanged: () => this.#onSupplyChanged(),
      onSupplyFailed: (error: Error) => this.fail(error),
    };
    this.#supply = new JournalSupply(options, supplyOwner, { epoch, number: number + 1 });
    this.#retired = new RetiredFiles(options, this.#supply);
    this.room = new FileJournalRoom(this.#tail, this.#supply, reserve, gathered, listener);
    reserve.onChanged = () => this.#onSupplyChanged();
    reserve.mayHaveMore = () => this.#supply.problem === undefined;
    reserve.onFailed = (error) => this.fail(error);
    this.#supply.prepare();
  }

  get committed(): BatchId {
    return this.#commits.committed;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  get isFree(): boolean {
    return !this.#isWriting && !this.#isStopped && this.#writeTimer === undefined;
  }

  get isEmpty(): boolean {
    return this.#tail.isEmpty;
  }

  get isStuck(): boolean {
    return this.room.hasWriteProblem || (!this.#tail.isEmpty && !this.#isWriting);
  }

  get pendingBytes(): number {
    return this.#tail.waitingBytes;
  }

  get writingSinceMs(): number | undefined {
    return this.#isWriting ? this.#writeBegunMs : undefined;
  }

  append(batch: Batch): void {
    assert(!this.#isStopped, 'a journal that has ended gets no batch');
    this.#tail.push(batch);
  }

  writeNext(): boolean {
    assert(this.isFree, 'one batch is written at a time');
    const tail = this.#tail;
    if (tail.needsRoll && !this.#roll()) {
      this.room.update();
      return false;
    }
    const { buffer, start, end, timestampNs } = tail.oldest;
    const { life, offset } = tail.file;
    writeBatchHeader(buffer, start, end, life, offset, tail.takeIndex(), timestampNs);
    this.#write();
    return true;
  }

  mark(isForced: boolean): JournalPosition | undefined {
    const tail = this.#tail;
    const begun = this.#isWriting ? 1 : 0;
    if (tail.count > begun && !isForced) return undefined;
    // Also the one that is being written: it may find no room in the present file yet.
    tail.hold();
    const { epoch, number } = tail.file.id;
    const offset = tail.file.offset + tail.waitingBytes;
    // The one that is being written has its number.
    const nextIndex = tail.nextIndex + tail.count - begun;
    this.#isHeld = true;
    this.room.marked(offset);
    return { epoch, number, offset, nextIndex };
  }

  resume(): void {
    this.#isHeld = false;
    this.#listener.onFree();
    this.#listener.onRoom();
  }

  retire(position: JournalPosition, needed: (id: FileId) => boolean, kept?: JournalPosition): Promise<void> {
    return this.#retired.retire(position, needed, kept, () => this.room.problem === undefined);
  }

  whenCommitted(batch: BatchId): Promise<void> {
    return this.#commits.whenCommitted(batch);
  }

  fence(): Promise<void> {
    return this.#commits.fence();
  }

  setCheckpointProblem(error: Error | undefined): void {
    this.room.setCheckpointProblem(error);
  }

  async close(): Promise<void> {
    const wasStopped = this.#isStopped;
    this.#stop(new StoreError('closed', 'The store was closed'));
    await this.#supply.close(!wasStopped);
    // A descriptor that is in use must not be closed under the write.
    if (this.#isWriting) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    await this.#tail.file.file.close();
  }

  #write(): void {
    assert(!this.#isWriting, 'one batch is written at a time');
    const { file } = this.#tail;
    const { start, end } = this.#tail.oldest;
    const bytes = end - start;
    this.#isWriting = true;
    this.#written = 0;
    this.#writeBegunMs = this.#options.clock.monotonicMs();
    if (file.isGrowing && bytes <= SMALL_BATCH_BYTES && file.offset + bytes > file.filled) {
      const zeros = Math.min(ZEROS.length, file.bytes - file.filled);
      if (zeros > 0) {
        file.file.write(ZEROS, 0, zeros, file.filled, this.#onFilled);
        return;
      }
    }
    this.#writeBatch();
  }

  #writeBatch(): void {
    const { file } = this.#tail;
    const { buffer, start, end } = this.#tail.oldest;
    file.file.write(buffer, start, end, file.offset, this.#onWritten);
  }

  readonly #onFilled = (error: Error | null, written: number): void => {
    if (this.#isStopped || (error !== null && !isNoSpace(error))) {
      this.#onWritten(error, 0);
      return;
    }
    // Where there is no room for zeros, there may be enough for the batch.
    if (error === null) this.#tail.file.filled += written;
    this.#writeBatch();
  };

  readonly #onWritten = (error: Error | null, written: number): void => {
    this.#isWriting = false;
    if (this.#isStopped) {
      this.#onIdle?.();
      return;
    }
    try {
      this.#wrote(error, written);
    } catch (thrown) {
      this.fail(bugOf(thrown));
    }
  };

  #wrote(error: Error | null, written: number): void {
    if (error !== null) {
      this.#onWriteError(error);
      return;
    }
    const tail = this.#tail;
    const { buffer, start, end } = tail.oldest;
    this.#written += written;
    const at = start + this.#written;
    if (at < end) {
      this.#isWriting = true;
      tail.file.file.write(buffer, at, end, tail.file.offset + this.#written, this.#onWritten);
      return;
    }
    assert(at === end, 'no more was written than the batch has');
    const batch = tail.shift();
    this.#measure(batch);
    this.#commits.written(batch.id);
    const { room } = this;
    if (room.hasWriteProblem) room.setWriteProblem(undefined);
    if (room.problem !== undefined || room.fullReason !== undefined) room.update();
    // The disk gets its next work first, then the callers that waited get their answer.
    this.#listener.onFree();
    this.#commits.announce();
  }

  #measure({ messages }: Batch): void {
    const { clock, measures } = this.#options;
    measures.journalWrite.observe((clock.monotonicMs() - this.#writeBegunMs) / 1e3);
    measures.journalBatchBytes.observe(this.#written);
    measures.journalBatchMessages.observe(messages);
  }

  // Where a file has no blocks yet, or on a file system that copies on write.
  #onWriteError(error: Error): void {
    if (!isNoSpace(error)) {
      // What a failed write or sync left on the disk is unknown, so it is not tried again.
      const { path } = this.#tail.file;
      this.fail(new Error(`Writing ${path} failed: ${error.message}`, { cause: error }));
      return;
    }
    const { file, isHeldBeyond } = this.#tail;
    if (file.isGrowing) this.#takeSetAside(error);
    else if (isHeldBeyond) this.#endFile(error);
    else this.#writeLater(error);
  }

  /** The batch stays: same bytes, same offset, later. */
  #writeLater(error: Error): void {
    this.room.setWriteProblem(error);
    this.room.update();
    this.#writeTimer = this.#options.clock.setTimer(SPACE_RETRY_MS, () => {
      this.#writeTimer = undefined;
      this.#write();
    });
  }

  /** The disk is full. What is set aside for a growing file goes to it: same bytes, same offset, now. */
  #takeSetAside(error: Error): void {
    const { reserve } = this.#options;
    const { start, end } = this.#tail.oldest;
    const least = this.room.leastSetAsideBytes;
    const bytes = Math.min(end - start + CUT_MARGIN_BYTES, (reserve.segmentBytes ?? 0) - least);
    // Nothing else may be written meanwhile.
    this.#isWriting = true;
    reserve
      .cut(bytes, least)
      .then(
        (isCut) => this.#onCut(isCut, error),
        (cutError: Error) => this.#onCut(false, canTryAgain(cutError) ? error : cutError),
      )
      .catch((thrown: unknown) => this.fail(bugOf(thrown)));
  }

  #onCut(isCut: boolean, error: Error): void {
    this.#isWriting = false;
    if (this.#isStopped) this.#onIdle?.();
    else if (isCut) {
      this.room.changed();
      this.room.update();
      this.#write();
    } else if (isNoSpace(error)) this.#endFile(error);
    else this.fail(error);
  }

  /**
   * Nothing is left that could be given to the present file. It ends here, and the batch goes into the next one, which may be of the reserve.
   * Nothing is known of what the file has of it: recovery passes over a batch that it finds a second time.
   */
  #endFile(error: Error): void {
    const { file, oldest } = this.#tail;
    const isSafe = oldest.end - oldest.start <= SAFE_BATCH_BYTES;
    if (file.offset === FILE_HEADER_BYTES && !(file.isGrowing && isSafe)) {
      this.#writeLater(error);
      return;
    }
    if (this.#tail.release()) {
      // It was to be where a snapshot ends.
      this.#isHeld = false;
      this.#listener.onMarkVoid();
    }
    this.room.changed();
    this.room.update();
    this.#listener.onFree();
  }

  /** Goes on to the next file, if it is there and may be begun. */
  #roll(): boolean {
    if (this.#isHeld) return false;
    const next = this.#supply.take();
    if (next === undefined) {
      if (this.room.problem !== undefined) this.#supply.useReserve();
      return false;
    }
    const { sealed, records } = this.#tail.roll(next);
    sealed.file.close().catch((error: unknown) => this.fail(error as Error));
    this.#retired.sealed(sealed);
    const isUrgent = next.isReserve || this.#supply.isRoomScarce;
    this.#supply.prepare();
    this.room.changed();
    this.#listener.onRolled({ bytes: sealed.offset, records }, isUrgent);
    this.#listener.onRoom();
    return true;
  }

  #onSupplyChanged(): void {
    if (this.room.problem !== undefined)
      this.#supply.dropSpares().catch((error) => this.fail(error as Error));
    this.room.changed();
    this.room.update();
    this.#listener.onFree();
    this.#listener.onRoom();
  }

  fail(error: Error): void {
    if (this.#isStopped) return;
    this.#stop(error);
    this.#listener.onFailed(error);
  }

  #stop(error: Error): void {
    this.#isStopped = true;
    this.room.stop();
    this.#supply.stop();
    this.#writeTimer?.cancel();
    this.#commits.stop(error);
  }
}
