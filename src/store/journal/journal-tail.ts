import { assert, must } from '../../util/assert.js';
import { FILE_HEADER_BYTES } from '../format/file-header.js';
import type { Batch } from '../types/journal.js';
import type { BatchId } from '../types/store.js';
import { advance, type JournalFile, MIN_JOURNAL_BYTES } from './journal-file.js';

/** Where something that waits will stand. */
export interface Place {
  offset: number;
  /** The size of that file. */
  bytes: number;
  /** The file behind that one, if it is there. */
  next: JournalFile | undefined;
  isReserve: boolean;
  /** There is no file for it yet. */
  isUnknown: boolean;
}

/** The end of the journal: the file that is being written, and the closed batches that wait to be written, oldest first. */
export class JournalTail {
  #file: JournalFile;
  readonly #waiting: Batch[] = [];
  /** Bytes of files before the present one, since the store was opened, and what was recovered. */
  sealedBytes: number;
  /** Bytes of the batches that wait, or are being written. */
  waitingBytes = 0;
  /** Messages in all batches since the store was opened. */
  messages = 0;
  /** Records in the present file. */
  #fileRecords = 0;
  #newest: BatchId = 0;
  /** The newest batch that lies before a mark's position, and so in the file of that position. */
  #heldThrough: BatchId = 0;
  #nextIndex: number;

  constructor(first: JournalFile, nextIndex: number, recoveredBytes: number) {
    this.#file = first;
    this.#nextIndex = nextIndex;
    this.sealedBytes = recoveredBytes;
  }

  get file(): JournalFile {
    return this.#file;
  }

  /** The number in its term of the batch that is written next. */
  get nextIndex(): number {
    return this.#nextIndex;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  get count(): number {
    return this.#waiting.length;
  }

  get oldest(): Batch {
    return must(this.#waiting[0], 'a batch waits');
  }

  push(batch: Batch): void {
    assert(batch.id === this.#newest + 1, 'batches are appended in order, each once');
    this.#newest = batch.id;
    this.#waiting.push(batch);
    this.waitingBytes += batch.end - batch.start;
    this.messages += batch.messages;
  }

  /** The oldest is about to be written: its number. */
  takeIndex(): number {
    return this.#nextIndex++;
  }

  /** The oldest is written, at the offset of the file. */
  shift(): Batch {
    const batch = must(this.#waiting.shift(), 'what was written has waited');
    const bytes = batch.end - batch.start;
    this.waitingBytes -= bytes;
    batch.place = { body: this.#file.body, shift: this.#file.offset - batch.start };
    advance(this.#file, bytes);
    this.#fileRecords += batch.records;
    return batch;
  }

  /** The oldest must go into the next file. */
  get needsRoll(): boolean {
    const { oldest } = this;
    return this.#isBeyond(oldest, this.#file.offset, this.#file.bytes);
  }

  /** All that waits goes into the present file, beyond its zeros if need be, so that it is known where it will end. */
  hold(): void {
    this.#heldThrough = this.#newest;
  }

  /** The oldest, whose number was taken, is to go beyond what the file may have, because `hold` wanted it there. */
  get isHeldBeyond(): boolean {
    const { oldest } = this;
    return oldest.id <= this.#heldThrough && this.#file.offset + oldest.end - oldest.start > this.#file.bytes;
  }

  /**
   * The oldest, whose number was taken, finds no room in the present file, which ends where it is.
   *
   * @returns whether `hold` wanted it there
   */
  release(): boolean {
    const isHeld = this.oldest.id <= this.#heldThrough;
    this.#file.bytes = this.#file.offset;
    this.#heldThrough = 0;
    this.#nextIndex--;
    return isHeld;
  }

  /** @returns the file before, which is the caller's to close, and how many records it has */
  roll(next: JournalFile): { sealed: JournalFile; records: number } {
    const sealed = this.#file;
    const records = this.#fileRecords;
    this.#fileRecords = 0;
    assert(next.id.number > sealed.id.number, 'files are used in the order of their numbers');
    this.#file = next;
    this.sealedBytes += sealed.offset;
    return { sealed, records };
  }

  /** Where the batch stands that is opened next, if what waits is written as it is. @param ready the next file, if it is there */
  placeOfNext(ready: JournalFile | undefined): Place {
    let { offset, bytes, isReserve } = this.#file;
    let next = ready;
    let isUnknown = false;
    for (const batch of this.#waiting) {
      if (this.#isBeyond(batch, offset, bytes)) {
        offset = FILE_HEADER_BYTES;
        isUnknown = next === undefined;
        bytes = next?.bytes ?? MIN_JOURNAL_BYTES;
        isReserve = next?.isReserve ?? true;
        next = undefined;
      }
      offset += batch.end - batch.start;
    }
    return { offset, bytes, next, isReserve, isUnknown };
  }

  #isBeyond({ id, start, end }: Batch, offset: number, bytes: number): boolean {
    // A batch larger than a file has one to itself, unless that has ended without any.
    const mayGoOn = offset > FILE_HEADER_BYTES || bytes === FILE_HEADER_BYTES;
    return offset + end - start > bytes && mayGoOn && id > this.#heldThrough;
  }
}
