import type { FileId } from '../../files/file-names.js';
import { assert } from '../../util/assert.js';
import { FILE_HEADER_BYTES } from '../format/file-header.js';
import type { Blob, Blobs } from '../types/blobs.js';
import type { JournalBody } from '../types/journal.js';

/** A file of the journal in which messages stay: the rows of extents point into it. It is there as long as a log refers to one of them. */
export class Body implements Blob {
  /** The size of the records that logs refer to. */
  liveBytes = 0;
  /** How many extents a log refers to, and of how many messages. */
  extentCount = 0;
  messageCount = 0;
  /** The journal has gone on in another file. */
  isSealed = false;
  /** It is missing, short, or a merge found damage in it: it is left as it is. */
  isDamaged = false;
  /** A merge reads it: until that has ended it stays, whatever limits drop. */
  isMerging = false;
  /** The journal was told that nothing needs it any more. */
  isRemoved = false;
  /** Extents point to what may have been written since it was opened for reading: a mount may go on to show the file as it was then. */
  hasGrown = false;
  #known: JournalBody;

  constructor(known: JournalBody) {
    this.#known = known;
  }

  get id(): FileId {
    return this.#known.id;
  }

  get path(): string {
    return this.#known.path;
  }

  get salt(): number {
    return this.#known.salt;
  }

  /** Bytes that count. */
  get end(): number {
    return this.#known.end;
  }

  /** The journal knows more of it than the checkpoint did that named it: it has gone on there. */
  follow(source: JournalBody): void {
    assert(source.end >= this.end, 'what a checkpoint stands for is in the journal that it names');
    this.#known = source;
  }

  /** The bytes that its file has at least. */
  get leastBytes(): number {
    return this.end;
  }

  /** The size of all that was ever written to it: other records too, and messages that are gone. */
  get bytes(): number {
    return this.end - FILE_HEADER_BYTES;
  }

  /** A log refers to one of its extents. */
  refer(messages: number, recordBytes: number): void {
    this.hasGrown = true;
    this.liveBytes += recordBytes;
    this.messageCount += messages;
    this.extentCount++;
  }

  /** A log has let go of one. */
  release(messages: number, recordBytes: number): void {
    this.liveBytes -= recordBytes;
    this.messageCount -= messages;
    this.extentCount--;
    assert(this.liveBytes >= 0, 'an extent is released once');
  }
}

/** What a body is read with. */
export type BodyReader = Pick<Blobs, 'read' | 'forget'>;

/** Reads from a body, with all that extents point to. @returns bytes read */
export function readBody(blobs: BodyReader, body: Body, buffer: Buffer, position: number): Promise<number> {
  if (body.hasGrown) {
    body.hasGrown = false;
    blobs.forget(body);
  }
  return blobs.read(body, buffer, position);
}
