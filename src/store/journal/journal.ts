import assert from 'node:assert';
import type { Timer } from '../../clock/clock.js';
import { isNoSpace, StoreError } from '../../files/store-error.js';
import type { Measures } from '../../measures/measures.js';
import { BATCH_HEADER_BYTES, writeBatchHeader } from '../format/batch-format.js';
import { FILE_HEADER_BYTES } from '../format/file-header.js';
import type { JournalPosition } from '../format/journal-position.js';
import { noRoom, SPACE_RETRY_MS } from '../room/no-room.js';
import type { Admission, BatchId } from '../types/store.js';
import type { StoreTime } from '../types/store-time.js';
import type { Block, BlockQueue } from './block.js';
import { type JournalFile, MIN_JOURNAL_BYTES } from './journal-file.js';
import { JournalSupply, type JournalSupplyOptions, type JournalSupplyOwner } from './journal-supply.js';

/** What the journal asks of the store. */
export interface JournalOwner {
  /** Called right before a batch is closed. */
  collectProgress(): void;
  /** Whether the next file may be begun: what is sealed and not in segments is bounded. If not, call `resume` later. */
  mayRoll(): boolean;
  /**
   * A file with `sealedBytes` was sealed. @returns whether a snapshot point is wanted
   * @param isReserve the next one was set aside
   */
  onRolled(sealedBytes: number, isReserve: boolean): boolean;
  /** No more can be taken before what there is can be left out of the journal. */
  checkpointSoon(): void;
  /** All that is appended lies before `position`, none behind it; `batch` is the last. */
  onSnapshotPoint(position: JournalPosition, batch: BatchId, blockId: number): void;
  onCommitted(batch: BatchId): void;
  onFailed(error: Error): void;
  onFullChanged(reason: string | undefined): void;
  /** What `admit` put off may be asked for again. */
  onRoom(): void;
  /** What is appended does not end where `onSnapshotPoint` said: that snapshot is void, and another one wanted. */
  onSnapshotVoid(): void;
}

export interface JournalOptions extends JournalSupplyOptions {
  /** Ends when all that was synced before the call may be told. Fails when the lease is lost. */
  fence: (() => Promise<void>) | undefined;
  measures: Measures;
  /** What older terms left in journals that no checkpoint stands for. */
  recoveredBytes: number;
}

interface ClosedBatch {
  id: BatchId;
  block: Block;
  start: number;
  end: number;
  messages: number;
  timestampNs: bigint;
}

const LAZY_COMMIT_MS = 15;
const CLOSING_ROUNDS = 3;
/** Of the last file that is there, what messages may fill. The rest is for everything else. */
const MESSAGE_SHARE = 0.75;
/** Less room than that is none: a publisher of small messages would be served, and all others refused. */
const MIN_MESSAGE_BYTES = 64 * 1024;
/** What a segment takes for each byte of the journal, at most: a small message's row is 16 bytes behind a record of 40. */
export const SEGMENT_SHARE = 1.4;
/** And for its directory. */
const DIRECTORY_BYTES = 1024 * 1024;
/** A batch of so many bytes fits in whatever file comes next. */
const SAFE_BATCH_BYTES = MIN_JOURNAL_BYTES - FILE_HEADER_BYTES;

/** Where something that waits will stand. */
interface Place {
  offset: number;
  /** Of the file. */
  bytes: number;
  /** The file behind that one, if it is there. */
  next: JournalFile | undefined;
  isReserve: boolean;
  /** There is no file for it yet. */
  isUnknown: boolean;
}

/**
 * The one log of everything, append-only. Group commit: while one batch is being written the next one gathers; each is
 * one write from one piece of memory, to a file opened O_DSYNC.
 */
export class Journal implements JournalSupplyOwner {
  gathering: BatchId = 1;
  committed: BatchId = 0;
  fullReason: string | undefined;
  /** Messages in the gathering batch. */
  gatheredMessages = 0;
  readonly #options: JournalOptions;
  readonly #owner: JournalOwner;
  readonly #blocks: BlockQueue;
  readonly #time: StoreTime;
  #file: JournalFile;
  readonly #supply: JournalSupply;
  #block: Block;
  /** Of the gathering batch in `#block`; -1 while nothing is gathered. */
  #batchStart = -1;
  /** Where in `#block` the gathering batch must end, so that it fits in the file that it is for. */
  #batchEnd = 0;
  /** Up to where in `#block` messages of the gathering batch are known to find room. */
  #admittedEnd = 0;
  readonly #queue: ClosedBatch[] = [];
  #queuedBytes = 0;
  #nextIndex: number;
  #wanted = false;
  #snapshotWanted = false;
  /** A file was begun since it was wanted: batches come faster than they are written, and there is never nothing behind one. */
  #snapshotOverdue = false;
  /** The newest batch that lies before a snapshot's position, and so in the file of that position. */
  #heldThrough: BatchId = 0;
  /** Bytes of files before the present one, since the store was opened, and what was recovered. */
  #sealedBytes: number;
  /** How many of all bytes lie before the last snapshot's position, and before the last checkpoint's. */
  #snapshotBytes = 0;
  #checkpointedBytes = 0;
  #writing = false;
  #written = 0;
  #writeBegunMs = 0;
  #onIdle: (() => void) | undefined;
  #durable: BatchId = 0;
  #fencing = false;
  #stopped = false;
  #lazyTimer: Timer | undefined;
  #writeTimer: Timer | undefined;
  /** Why there is no room, by who found out. */
  #writeProblem: string | undefined;
  #checkpointProblem: string | undefined;
  #waiters: { batch: BatchId; resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(
    options: JournalOptions,
    owner: JournalOwner,
    blocks: BlockQueue,
    time: StoreTime,
    first: JournalFile,
    nextIndex: number,
  ) {
    this.#options = options;
    this.#owner = owner;
    this.#blocks = blocks;
    this.#time = time;
    this.#file = first;
    this.#nextIndex = nextIndex;
    this.#block = blocks.add(0);
    this.#sealedBytes = options.recoveredBytes;
    const { epoch, number } = first.id;
    this.#supply = new JournalSupply(options, this, { epoch, number: number + 1 });
    this.#supply.prepare();
  }

  get pendingBytes(): number {
    return this.#queuedBytes + (this.#batchStart < 0 ? 0 : this.#block.used - this.#batchStart);
  }

  /** The newest batch that has anything in it. */
  get appended(): BatchId {
    return this.#batchStart < 0 ? this.gathering - 1 : this.gathering;
  }

  /** Since when, by the monotonic clock, the write that is under way has not ended; undefined if none is. */
  get writingSinceMs(): number | undefined {
    return this.#writing ? this.#writeBegunMs : undefined;
  }

  /** It has failed, or was closed: nothing can be appended. */
  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Number of the file that is written now. */
  get fileNumber(): number {
    return this.#file.id.number;
  }

  /** The block to append to, at its `used`, with room for `bytes`. Opens the batch if this is the first thing in it. */
  reserve(bytes: number): Block {
    const block = this.#block;
    if (this.#batchStart >= 0 && block.used + bytes <= this.#batchEnd) return block;
    return this.#openBatch(bytes);
  }

  #openBatch(bytes: number): Block {
    if (this.#stopped) throw new StoreError('closed', 'The store is closed: nothing can be appended');
    if (this.#batchStart >= 0) this.#closeBatch();
    const needed = bytes + BATCH_HEADER_BYTES;
    if (this.#block.buffer.length - this.#block.used < needed) this.#block = this.#blocks.add(needed);
    const block = this.#block;
    this.#time.advance();
    this.#batchStart = block.used;
    this.#batchEnd = Math.min(block.buffer.length, block.used + Math.max(needed, this.#batchRoom(needed)));
    this.#admittedEnd = 0;
    block.mark(block.used, this.#time.ms);
    block.used += BATCH_HEADER_BYTES;
    return block;
  }

  /** Bytes that a batch may have which begins with `needed` of them. */
  #batchRoom(needed: number): number {
    const { offset, bytes, next, isUnknown } = this.#placeOfNext();
    if (!isUnknown && offset + needed <= bytes) return bytes - offset;
    return next === undefined ? SAFE_BATCH_BYTES : next.bytes - FILE_HEADER_BYTES;
  }

  /** Where the batch stands that is opened next, if what waits is written as it is. */
  #placeOfNext(): Place {
    let { offset, bytes, isReserve } = this.#file;
    let next = this.#supply.ready;
    let isUnknown = false;
    for (const { id, start, end } of this.#queue) {
      if (offset + end - start > bytes && offset > FILE_HEADER_BYTES && id > this.#heldThrough) {
        offset = FILE_HEADER_BYTES;
        isUnknown = next === undefined;
        bytes = next?.bytes ?? MIN_JOURNAL_BYTES;
        isReserve = next?.isReserve ?? true;
        next = undefined;
      }
      offset += end - start;
    }
    return { offset, bytes, next, isReserve, isUnknown };
  }

  /**
   * Whether there is room for a message whose record has so many bytes at most. Only room that is there counts, so that what has been
   * admitted never stands in the way of what is no message.
   */
  admit(bytes: number): Admission {
    if (this.#batchStart >= 0 && this.#block.used + bytes <= this.#admittedEnd) return 'yes';
    return this.#decide(bytes);
  }

  #decide(bytes: number): Admission {
    if (this.#stopped) return 'later';
    if (this.fullReason !== undefined) return { full: this.fullReason };
    const needed = bytes + BATCH_HEADER_BYTES;
    const budget = this.#budget();
    if (needed > budget) return this.#putOff(needed);
    const place = this.#placeOfNext();
    const isOpen = this.#batchStart >= 0;
    const at = place.offset + (isOpen ? this.#block.used - this.#batchStart : 0);
    const limit = messageLimit(place);
    if (at + needed <= limit) {
      if (isOpen) {
        const end = Math.min(this.#batchStart + limit - place.offset, this.#block.used + budget);
        this.#admittedEnd = Math.min(this.#batchEnd, end);
      }
      return 'yes';
    }
    const { next } = place;
    if (next !== undefined && FILE_HEADER_BYTES + needed <= messageShare(next)) return 'yes';
    const problem = this.#spaceProblem;
    if (problem === undefined) {
      // The next file comes by itself. It may have to be larger than usual.
      if (!this.#needsNext) this.#supply.enlarge(Math.ceil((FILE_HEADER_BYTES + needed) / MESSAGE_SHARE));
      return 'later';
    }
    this.#updateFull();
    return { full: problem };
  }

  /** The journal has as much as a segment can be written of with what is set aside. */
  #putOff(needed: number): Admission {
    const { reserve } = this.#options;
    const problem = this.#spaceProblem;
    const segmentBytes = reserve.segmentBytes ?? 0;
    const isTooLarge = segmentBytes > 0 && needed > flushable(segmentBytes);
    if (problem === undefined && !isTooLarge) {
      if (segmentBytes > 0) this.#owner.checkpointSoon();
      return 'later';
    }
    this.#updateFull();
    return { full: problem ?? NO_ROOM };
  }

  /**
   * Bytes of messages that may be taken. A checkpoint moves all that are in the journal to a segment, and must find the room for that, whatever
   * happens on the disk.
   */
  #budget(): number {
    const { segmentBytes, problem } = this.#options.reserve;
    if (problem !== undefined) return 0;
    if (segmentBytes === undefined) return Number.POSITIVE_INFINITY;
    const taken = this.#sealedBytes + this.#file.offset + this.pendingBytes - this.#checkpointedBytes;
    return Math.max(0, flushable(segmentBytes) - taken);
  }

  /** Something that waits is for the next file. */
  get #needsNext(): boolean {
    const { next, offset, bytes } = this.#placeOfNext();
    const gathered = this.#batchStart < 0 ? 0 : this.#block.used - this.#batchStart;
    return next === undefined || offset + gathered > bytes;
  }

  /** Bytes that messages still find room for. */
  #messageRoom(): number {
    const place = this.#placeOfNext();
    const gathered = this.#batchStart < 0 ? 0 : this.#block.used - this.#batchStart;
    const room = Math.max(0, messageLimit(place) - place.offset - gathered);
    return place.next === undefined ? room : room + messageShare(place.next);
  }

  #closeBatch(): void {
    const block = this.#block;
    const start = this.#batchStart;
    this.#queue.push({
      id: this.gathering++,
      block,
      start,
      end: block.used,
      messages: this.gatheredMessages,
      timestampNs: this.#time.ns,
    });
    this.gatheredMessages = 0;
    this.#queuedBytes += block.used - start;
    this.#batchStart = -1;
  }

  commit(): void {
    if (this.#batchStart < 0) return;
    this.#wanted = true;
    this.#pump();
  }

  commitLater(): void {
    if (this.#lazyTimer !== undefined || this.#stopped) return;
    this.#lazyTimer = this.#options.clock.setTimer(LAZY_COMMIT_MS, this.#commitNow);
  }

  readonly #commitNow = (): void => {
    this.#lazyTimer = undefined;
    this.#wanted = true;
    this.#pump();
  };

  /** What made `mayRoll` say no has passed. */
  resume(): void {
    this.#pump();
    this.#owner.onRoom();
  }

  /** Calls `onSnapshotPoint` as soon as there is one. */
  requestSnapshot(): void {
    this.#snapshotWanted = true;
    this.#pump();
  }

  get isSnapshotWanted(): boolean {
    return this.#snapshotWanted;
  }

  whenCommitted(batch: BatchId): Promise<void> {
    if (batch <= this.committed) return Promise.resolve();
    if (this.#stopped)
      return Promise.reject(new StoreError('closed', 'The store was closed before the batch was durable'));
    return new Promise((resolve, reject) => this.#waiters.push({ batch, resolve, reject }));
  }

  /** The checkpoint cannot be written for lack of room, or (undefined) could again. */
  setCheckpointProblem(error: Error | undefined): void {
    this.#checkpointProblem = error && noRoom(error);
    // A checkpoint gives back more room than the next file takes, so it goes first.
    if (error === undefined) {
      this.#checkpointedBytes = this.#snapshotBytes;
      this.#supply.resume();
    } else if (!this.#needsNext) this.#supply.holdBack();
    this.#admittedEnd = 0;
    this.#updateFull();
  }

  /** There is more room set aside, or less. */
  onReserveChanged(): void {
    this.onSupplyChanged();
  }

  onSupplyChanged(): void {
    this.#admittedEnd = 0;
    this.#updateFull();
    this.#pump();
    this.#owner.onRoom();
  }

  onSupplyFailed(error: Error): void {
    this.#fail(error);
  }

  /** Writes what is gathered, waits for it, and closes the files. */
  async close(): Promise<void> {
    this.#lazyTimer?.cancel();
    // What is being written, what is gathered, and the progress that came with it.
    for (let round = 1; round <= CLOSING_ROUNDS && !this.#stopped; round++) {
      this.#wanted = true;
      this.#pump();
      // With no room to write to, waiting would have no end.
      if (this.#writeProblem !== undefined || (this.#queue.length > 0 && !this.#writing)) break;
      await this.whenCommitted(this.#batchStart < 0 ? this.gathering - 1 : this.gathering).catch(() => {});
    }
    this.#writeTimer?.cancel();
    const wasStopped = this.#stopped;
    this.#stop(new StoreError('closed', 'The store was closed'));
    await this.#supply.close(!wasStopped);
    // A descriptor that is in use must not be closed under the write.
    if (this.#writing) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    await this.#file.file.close();
  }

  #pump(): void {
    if (this.#writing || this.#stopped || this.#writeTimer !== undefined) return;
    if (this.#queue.length === 0) {
      if (!this.#wanted && !this.#snapshotWanted) return;
      this.#wanted = false;
      this.#owner.collectProgress();
      if (this.#batchStart >= 0) this.#closeBatch();
      if (this.#queue.length === 0) {
        if (this.#snapshotWanted) this.#snapshotAt(this.#file.offset, this.#nextIndex);
        return;
      }
    }
    const batch = this.#queue[0]!;
    const bytes = batch.end - batch.start;
    if (
      this.#file.offset + bytes > this.#file.bytes &&
      this.#file.offset > FILE_HEADER_BYTES &&
      batch.id > this.#heldThrough &&
      !this.#roll()
    ) {
      this.#updateFull();
      return;
    }
    const { salt } = this.#file;
    const index = this.#nextIndex++;
    const content = bytes - BATCH_HEADER_BYTES;
    writeBatchHeader(batch.block.buffer, batch.start, salt, index, content, batch.timestampNs);
    this.#write();
    if (!this.#snapshotWanted) return;
    if (this.#queue.length === 1 && this.#batchStart < 0)
      this.#snapshotAt(this.#file.offset + bytes, this.#nextIndex);
    else if (this.#snapshotOverdue) this.#snapshotBehindQueue();
  }

  /** All that waits goes into the present file, beyond its zeros if need be, so that it is known where it will end. */
  #snapshotBehindQueue(): void {
    this.#owner.collectProgress();
    if (this.#batchStart >= 0) this.#closeBatch();
    this.#heldThrough = this.gathering - 1;
    // The first of them is being written, and has its number.
    this.#snapshotAt(this.#file.offset + this.#queuedBytes, this.#nextIndex + this.#queue.length - 1);
  }

  #write(): void {
    assert(!this.#writing, 'one batch is written at a time');
    const batch = this.#queue[0]!;
    this.#writing = true;
    this.#written = 0;
    this.#writeBegunMs = this.#options.clock.monotonicMs();
    this.#file.file.write(batch.block.buffer, batch.start, batch.end, this.#file.offset, this.#onWritten);
  }

  readonly #onWritten = (error: Error | null, written: number): void => {
    if (this.#stopped) {
      this.#writing = false;
      this.#onIdle?.();
      return;
    }
    if (error !== null) {
      this.#onWriteError(error);
      return;
    }
    const batch = this.#queue[0]!;
    this.#written += written;
    const start = batch.start + this.#written;
    if (start < batch.end) {
      const at = this.#file.offset + this.#written;
      this.#file.file.write(batch.block.buffer, start, batch.end, at, this.#onWritten);
      return;
    }
    this.#queue.shift();
    this.#measure(batch);
    this.#queuedBytes -= this.#written;
    this.#file.offset += this.#written;
    this.#writing = false;
    this.#durable = batch.id;
    if (this.#writeProblem !== undefined) this.#writeProblem = undefined;
    if (this.#spaceProblem !== undefined || this.fullReason !== undefined) this.#updateFull();
    // The disk gets its next work first, then those who waited get theirs.
    if (this.#wanted || this.#snapshotWanted || this.#queue.length > 0) this.#pump();
    this.#announce();
  };

  #measure({ messages }: ClosedBatch): void {
    const { clock, measures } = this.#options;
    measures.journalWrite.observe((clock.monotonicMs() - this.#writeBegunMs) / 1e3);
    measures.journalBatchBytes.observe(this.#written);
    measures.journalBatchMessages.observe(messages);
  }

  // Beyond preallocation, or on a file system that copies on write. The batch stays: same bytes, same offset, later.
  #onWriteError(error: Error): void {
    this.#writing = false;
    if (!isNoSpace(error)) {
      // What a failed write or sync left on the disk is unknown, so it is not tried again.
      this.#fail(new Error(`Writing ${this.#file.path} failed: ${error.message}`, { cause: error }));
      return;
    }
    const batch = this.#queue[0]!;
    if (batch.id <= this.#heldThrough && this.#file.offset + batch.end - batch.start > this.#file.bytes) {
      // It was to be where a snapshot ends. There is room for it in another file, perhaps.
      this.#heldThrough = 0;
      this.#nextIndex--;
      this.#owner.onSnapshotVoid();
      this.#pump();
      return;
    }
    this.#writeProblem = noRoom(error);
    this.#updateFull();
    this.#writeTimer = this.#options.clock.setTimer(SPACE_RETRY_MS, () => {
      this.#writeTimer = undefined;
      this.#write();
    });
  }

  #announce(): void {
    const { fence, clock, measures } = this.#options;
    if (fence === undefined) {
      this.#setCommitted(this.#durable);
      return;
    }
    if (this.#fencing || this.#durable === this.committed) return;
    this.#fencing = true;
    const covered = this.#durable;
    const begunMs = clock.monotonicMs();
    fence().then(
      () => {
        this.#fencing = false;
        measures.fence.observe((clock.monotonicMs() - begunMs) / 1e3);
        if (this.#stopped) return;
        this.#setCommitted(covered);
        this.#announce();
      },
      (error: unknown) => this.#fail(error as Error),
    );
  }

  #setCommitted(batch: BatchId): void {
    this.committed = batch;
    this.#owner.onCommitted(batch);
    if (this.#waiters.length === 0) return;
    const due = this.#waiters.filter((waiter) => waiter.batch <= batch);
    this.#waiters = this.#waiters.filter((waiter) => waiter.batch > batch);
    for (const waiter of due) waiter.resolve();
  }

  #snapshotAt(offset: number, nextIndex: number): void {
    this.#snapshotWanted = this.#snapshotOverdue = false;
    this.#snapshotBytes = this.#sealedBytes + offset;
    const { epoch, number } = this.#file.id;
    this.#owner.onSnapshotPoint({ epoch, number, offset, nextIndex }, this.gathering - 1, this.#block.id);
  }

  #roll(): boolean {
    if (!this.#owner.mayRoll()) return false;
    const next = this.#supply.take();
    if (next === undefined) {
      if (this.#spaceProblem !== undefined) this.#supply.useReserve();
      return false;
    }
    const sealed = this.#file;
    this.#file = next;
    this.#sealedBytes += sealed.offset;
    sealed.file.close().catch((error: unknown) => this.#fail(error as Error));
    this.#supply.prepare();
    this.#admittedEnd = 0;
    this.#snapshotOverdue = this.#snapshotWanted;
    if (this.#owner.onRolled(sealed.offset, next.isReserve)) this.#snapshotWanted = true;
    this.#owner.onRoom();
    return true;
  }

  /** The next file cannot be made. */
  get isShort(): boolean {
    return this.#supply.problem !== undefined;
  }

  get #spaceProblem(): string | undefined {
    return this.#supply.problem ?? this.#checkpointProblem ?? this.#options.reserve.problem;
  }

  #updateFull(): void {
    const problem = this.#spaceProblem;
    const isLow = problem !== undefined && Math.min(this.#messageRoom(), this.#budget()) < MIN_MESSAGE_BYTES;
    const reason = this.#writeProblem ?? (isLow ? problem : undefined);
    if (reason === this.fullReason) return;
    this.fullReason = reason;
    this.#owner.onFullChanged(reason);
    this.#owner.onRoom();
  }

  /** The lease is lost, or something else makes going on wrong. */
  fail(error: Error): void {
    this.#fail(error);
  }

  #fail(error: Error): void {
    if (this.#stopped) return;
    this.#stop(error);
    this.#owner.onFailed(error);
  }

  #stop(error: Error): void {
    this.#stopped = true;
    // An append finds no open batch then, and throws.
    this.#batchStart = -1;
    this.#lazyTimer?.cancel();
    this.#supply.stop();
    this.#writeTimer?.cancel();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }
}

const NO_ROOM = 'no space left on the device';

/** Bytes of the journal that a segment of so many bytes can be written of. */
function flushable(segmentBytes: number): number {
  return (segmentBytes - Math.min(DIRECTORY_BYTES, segmentBytes / 8)) / SEGMENT_SHARE;
}

/** Up to where messages may go in the file of a place: the last file that is there is shared with everything else. */
function messageLimit(place: Place): number {
  const { bytes, next } = place;
  return next === undefined || next.isReserve ? messageShare(place) : bytes;
}

/** Of a file that may be the last one. */
function messageShare({ bytes, isReserve }: { bytes: number; isReserve: boolean }): number {
  return isReserve ? 0 : bytes * MESSAGE_SHARE;
}
