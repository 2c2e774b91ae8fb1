import type { FileId } from '../../files/file-names.js';
import type { Blob } from './blobs.js';
import type { Admission, BatchId } from './store.js';

/** A place between two batches. Only the journal that gave it away knows what it means. */
export interface JournalPosition extends FileId {
  offset: number;
  /** Number in its term of the batch that comes next. */
  nextIndex: number;
}

/** A closed batch: nothing is added to it any more. It is one piece of memory, and begins with room for the journal's own header. */
export interface Batch {
  readonly id: BatchId;
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
  /** How many of its records are messages. */
  readonly messages: number;
  /** How many it has, messages included. */
  readonly records: number;
  readonly timestampNs: bigint;
  /** Set by the journal before it reports the batch as written. It stays undefined in a journal that keeps no files. */
  place: BatchPlace | undefined;
}

/** Where a batch lies for good: its records can be read there as long as the journal keeps the body. */
export interface BatchPlace {
  readonly body: JournalBody;
  /** Bytes by which an offset in the body is larger than the offset in the batch's memory. */
  readonly shift: number;
}

/** A file of the journal. What an index points to stays in it, under its name, when a checkpoint stands for the rest. */
export interface JournalBody extends Blob {
  /** Random, in its header: a file of the same name that has another salt is another file. */
  readonly salt: number;
  /** Bytes that count: behind its last batch that is written. They become more until the journal goes on in another file. */
  readonly end: number;
}

/** How much room there is for what is gathered, and why there is none. A journal without bounds always answers 'yes'. */
export interface JournalRoom {
  /** Why messages must be refused at present, for people. */
  readonly fullReason: string | undefined;
  /** Why there is no more room than what is left, for people: a message that needs more is refused. */
  readonly problem: string | undefined;
  /** Up to so many bytes of the gathering batch, messages are known to find room: `admit` need not be asked. */
  readonly admittedBytes: number;
  /** Whether there is room for a message whose record has so many bytes at most. */
  admit(bytes: number): Admission;
  /** Bytes that a batch may have which begins with so many of them. */
  batchRoom(bytes: number): number;
}

/**
 * The one log of everything, append-only: closed batches, one behind the other. One is written at a time, and confirmed by a fence
 * behind it; `JournalListener` hears how that ends. An error that leaves it unknown what was written ends the journal.
 */
export interface Journal {
  readonly room: JournalRoom;
  /** All batches up to this one are durable and fenced. */
  readonly committed: BatchId;
  /** It was closed or has failed: nothing can be appended. */
  readonly isStopped: boolean;
  /** Nothing is being written: `writeNext` may be called. */
  readonly isFree: boolean;
  /** Everything that was appended is written. */
  readonly isEmpty: boolean;
  /** Something waits that cannot be written as things stand. */
  readonly isStuck: boolean;
  /** Bytes appended and not yet written. */
  readonly pendingBytes: number;
  /** Since when, by the monotonic clock, the write that is under way has not ended; undefined if none is. */
  readonly writingSinceMs: number | undefined;

  /** Takes a batch over. It is written behind those that were appended before it. */
  append(batch: Batch): void;
  /** Begins to write the oldest batch that waits. @returns false if there is no room for it yet: `onFree` is called when there is */
  writeNext(): boolean;
  /**
   * Where all that was appended ends, so that a checkpoint can stand for it. From here until `resume`, no other file is begun: what is
   * left to replay is bounded.
   *
   * @param isForced the position is wanted although batches wait: they are written so that it is known where they end
   * @returns undefined if it is not known yet
   */
  mark(isForced: boolean): JournalPosition | undefined;
  /** The checkpoint at the mark was made, or given up. */
  resume(): void;
  /**
   * What lies before this position is not needed any more: a durable, fenced checkpoint stands for it.
   * @param needed whether the checkpoint's index points into this file, or something still reads from it: then it stays. Any other may be written
   *   over at once
   * @param kept the file that it is in, and those before, stay all the same: an older term had retired what lies there, and this one
   *   cannot say whether that was right
   */
  retire(position: JournalPosition, needed: (id: FileId) => boolean, kept?: JournalPosition): Promise<void>;
  /** Resolves when this batch is durable and fenced. */
  whenCommitted(batch: BatchId): Promise<void>;
  /** Resolves when what is durable now may be acted upon, also by removing what it replaces. */
  fence(): Promise<void>;
  /** No room for a checkpoint was found (the file system's error), or again (undefined). */
  setCheckpointProblem(error: Error | undefined): void;
  /** It must not go on. */
  fail(error: Error): void;
  /** Waits for the write that is under way, if any, and lets go of everything. What is appended and not begun is not written. */
  close(): Promise<void>;
}

/** A file of the journal that is full: what a recovery has to read of it, and to replay. */
export interface SealedFile {
  readonly bytes: number;
  readonly records: number;
}

/** What a journal reports to the store. Called from the event loop when a write, a fence or a file has come to its end. */
export interface JournalListener {
  /** The next batch can be written. */
  onFree(): void;
  /** All batches up to this one are durable and fenced. */
  onCommitted(batch: BatchId): void;
  /** Nothing can be written any more. Called once. */
  onFailed(error: Error): void;
  onFullChanged(reason: string | undefined): void;
  /** What `admit` has put off may be asked for again. */
  onRoom(): void;
  /**
   * Another file was begun, and the one before stays until a checkpoint stands for it.
   * @param isUrgent room is scarce, or the new one was set aside for an emergency: a checkpoint gives room back
   */
  onRolled(sealed: SealedFile, isUrgent: boolean): void;
  /** Nothing more can be admitted before a checkpoint stands for what there is. */
  onCheckpointDue(): void;
  /** What was appended before the last mark does not end there after all. */
  onMarkVoid(): void;
}

/** The journal as older terms left it. */
export interface JournalReader {
  /**
   * Hands over every batch that counts, oldest first.
   * @throws StoreError naming the place if one that counts is damaged or missing
   */
  read(visitor: JournalVisitor): Promise<void>;
}

/** Gets what is read of a journal: pieces of memory, each with batches in it. */
export interface JournalVisitor {
  /**
   * The batches that follow lie in this memory, which is the visitor's to keep.
   *
   * @param source where it is from, for messages
   * @param body where they lie for good, at the same offsets; undefined if the journal keeps no files. Its `end` is right when the piece ends
   */
  onPiece(buffer: Buffer, source: string, body?: JournalBody): void;
  /** The records of a batch, each checked, lie from `start` to `end` in the piece. */
  onBatch(start: number, end: number, timestampNs: bigint): void;
  /** No batch follows in this piece. @param end behind the last one */
  onPieceEnd(end: number): void;
}
