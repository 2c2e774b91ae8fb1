import { BATCH_HEADER_BYTES } from '../format/batch-format.js';
import { FILE_HEADER_BYTES } from '../format/file-header.js';
import { noRoom } from '../room/no-room.js';
import type { Reserve } from '../room/reserve.js';
import { flushable, rowsBytesFor, rowsBytesOf, segmentBytesFor } from '../room/segment-room.js';
import type { JournalListener, JournalRoom } from '../types/journal.js';
import type { Admission } from '../types/store.js';
import { MIN_JOURNAL_BYTES } from './journal-file.js';
import type { JournalSupply } from './journal-supply.js';
import type { JournalTail, Place } from './journal-tail.js';

/** Messages may fill this share of the last file that is there. The rest is for everything else. */
const MESSAGE_SHARE = 0.75;
/** Less room than that is none: a publisher of small messages would be served, and all others refused. */
const MIN_MESSAGE_BYTES = 64 * 1024;
/** A batch of so many bytes fits in whatever file comes next. */
export const SAFE_BATCH_BYTES = MIN_JOURNAL_BYTES - FILE_HEADER_BYTES;
const NO_ROOM = 'no space left on the device';

/** What is gathered and will be appended next. */
export interface Gathered {
  readonly bytes: number;
}

/**
 * The room for messages: in the file that is being written, in the next one once it is there, and in the segment that a checkpoint
 * would make of them all. Only room that is there counts, so that what has been admitted never stands in the way of what is no message.
 */
export class FileJournalRoom implements JournalRoom {
  fullReason: string | undefined;
  admittedBytes = 0;
  readonly #tail: JournalTail;
  readonly #supply: JournalSupply;
  readonly #reserve: Reserve;
  readonly #gathered: Gathered;
  readonly #listener: Pick<JournalListener, 'onFullChanged' | 'onRoom' | 'onCheckpointDue'>;
  /** Why there is no room, by what found out. */
  #writeProblem: string | undefined;
  #checkpointProblem: string | undefined;
  /** How many of all bytes lie before the last mark, and before that of the last checkpoint. */
  #markedBytes = 0;
  #checkpointedBytes = 0;
  /** The same of the messages that were counted: those that older terms left are not. */
  #markedMessages = 0;
  #checkpointedMessages = 0;
  #uncountedBytes: number;
  #isStopped = false;

  constructor(
    tail: JournalTail,
    supply: JournalSupply,
    reserve: Reserve,
    gathered: Gathered,
    listener: Pick<JournalListener, 'onFullChanged' | 'onRoom' | 'onCheckpointDue'>,
  ) {
    this.#tail = tail;
    this.#supply = supply;
    this.#reserve = reserve;
    this.#gathered = gathered;
    this.#listener = listener;
    this.#uncountedBytes = tail.sealedBytes;
  }

  /** Why no further file, segment or checkpoint can be made. */
  get problem(): string | undefined {
    return this.#supply.problem ?? this.#checkpointProblem ?? this.#reserve.problem;
  }

  /** A write found no room in a file that should have it. */
  get hasWriteProblem(): boolean {
    return this.#writeProblem !== undefined;
  }

  /** Something that waits is for the next file. */
  get needsNext(): boolean {
    const { next, offset, bytes } = this.#placeOfNext();
    return next === undefined || offset + this.#gathered.bytes > bytes;
  }

  /** What must stay set aside for a segment. The rest is for the records themselves, in a file that grows. */
  get leastSetAsideBytes(): number {
    return this.#rowsBytes(this.#takenBytes, this.#uncountedBytes + this.#gathered.bytes);
  }

  admit(bytes: number): Admission {
    if (this.#isStopped) return 'later';
    if (this.fullReason !== undefined) return { full: this.fullReason };
    const needed = bytes + BATCH_HEADER_BYTES;
    const budget = this.#budget();
    if (needed > budget) return this.#putOff(needed);
    const place = this.#placeOfNext();
    const gathered = this.#gathered.bytes;
    const limit = messageLimit(place);
    if (place.offset + gathered + needed <= limit) {
      if (gathered > 0) this.admittedBytes = Math.min(limit - place.offset, gathered + budget);
      return 'yes';
    }
    const { next } = place;
    if (next !== undefined && FILE_HEADER_BYTES + needed <= messageShare(next)) return 'yes';
    const { problem } = this;
    if (problem === undefined) {
      // The next file comes by itself. It may have to be larger than usual.
      if (!this.needsNext) this.#supply.enlarge(Math.ceil((FILE_HEADER_BYTES + needed) / MESSAGE_SHARE));
      return 'later';
    }
    this.update();
    return { full: problem };
  }

  /** Asked for when a batch is opened: what was known of the one before does not hold for it. */
  batchRoom(needed: number): number {
    this.admittedBytes = 0;
    const { offset, bytes, next, isUnknown } = this.#placeOfNext();
    if (!isUnknown && offset + needed <= bytes) return bytes - offset;
    return next === undefined ? SAFE_BATCH_BYTES : next.bytes - FILE_HEADER_BYTES;
  }

  /** There is other room than before: what is known of the gathering batch may not hold. */
  changed(): void {
    this.admittedBytes = 0;
  }

  /** A checkpoint is to be made of everything up to this offset of the present file. */
  marked(offset: number): void {
    this.#markedBytes = this.#tail.sealedBytes + offset;
    this.#markedMessages = this.#tail.messages;
  }

  setWriteProblem(error: Error | undefined): void {
    this.#writeProblem = error && noRoom(error);
  }

  setCheckpointProblem(error: Error | undefined): void {
    this.#checkpointProblem = error && noRoom(error);
    // A checkpoint gives back more room than the next file takes, so it goes first.
    if (error === undefined) {
      this.#checkpointedBytes = this.#markedBytes;
      this.#checkpointedMessages = this.#markedMessages;
      this.#uncountedBytes = 0;
      this.#supply.resume();
    } else if (!this.needsNext) this.#supply.holdBack();
    this.changed();
    this.update();
  }

  /** Finds out whether messages have to be refused, and reports a change. */
  update(): void {
    const { problem } = this;
    const isLow = problem !== undefined && Math.min(this.#messageRoom(), this.#budget()) < MIN_MESSAGE_BYTES;
    const reason = this.#writeProblem ?? (isLow ? problem : undefined);
    if (reason === this.fullReason) return;
    this.fullReason = reason;
    this.#listener.onFullChanged(reason);
    this.#listener.onRoom();
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** The journal has as much as a segment can be written of with what is set aside. */
  #putOff(needed: number): Admission {
    const { problem } = this;
    const segmentBytes = this.#reserve.segmentBytes ?? 0;
    const isTooLarge = segmentBytes > 0 && needed > flushable(segmentBytes);
    if (problem === undefined && isTooLarge && this.#reserve.wantSegment(segmentBytesFor(needed)))
      return 'later';
    if (problem === undefined && !isTooLarge) {
      if (segmentBytes > 0) this.#listener.onCheckpointDue();
      return 'later';
    }
    this.update();
    return { full: problem ?? NO_ROOM };
  }

  /**
   * Bytes of messages that may be taken: they must find their room, and so must the rows of all that no checkpoint stands for, whatever
   * happens on the disk. What is written has its room.
   */
  #budget(): number {
    const { segmentBytes, problem } = this.#reserve;
    if (problem !== undefined) return 0;
    if (segmentBytes === undefined) return Number.POSITIVE_INFINITY;
    const unwritten = this.#tail.waitingBytes + this.#gathered.bytes;
    const rowsBytes = this.#rowsBytes(this.#takenBytes - unwritten, this.#uncountedBytes);
    return Math.max(0, flushable(segmentBytes - rowsBytes) - unwritten);
  }

  /** What rows need at most, of so many bytes whose messages were counted but for some. */
  #rowsBytes(bytes: number, uncounted: number): number {
    const counted = rowsBytesOf(this.#tail.messages - this.#checkpointedMessages);
    return Math.min(rowsBytesFor(bytes), counted + rowsBytesFor(uncounted));
  }

  /** Bytes that no checkpoint stands for, also of what is in memory only. */
  get #takenBytes(): number {
    const { sealedBytes, file, waitingBytes } = this.#tail;
    return sealedBytes + file.offset + waitingBytes + this.#gathered.bytes - this.#checkpointedBytes;
  }

  /** Bytes that messages still find room for. */
  #messageRoom(): number {
    const place = this.#placeOfNext();
    const room = Math.max(0, messageLimit(place) - place.offset - this.#gathered.bytes);
    return place.next === undefined ? room : room + messageShare(place.next);
  }

  #placeOfNext(): Place {
    return this.#tail.placeOfNext(this.#supply.ready);
  }
}

/** Up to where messages may go in the file of a place: the last file that is there is shared with everything else. */
function messageLimit(place: Place): number {
  const { bytes, next } = place;
  return next === undefined || next.isReserve ? messageShare(place) : bytes;
}

/** Up to where messages may go in a file that may be the last one. */
function messageShare({ bytes, isReserve }: { bytes: number; isReserve: boolean }): number {
  return isReserve ? 0 : bytes * MESSAGE_SHARE;
}
