import type { FileId } from '../../files/file-names.js';
import { must } from '../../util/assert.js';
import { FOOTER_BYTES, FORMER_ENTRY_BYTES, ROW_BYTES, type SegmentFile } from '../format/segment-format.js';
import type { Blob } from '../types/blobs.js';
import type { Body } from './body.js';

/** An immutable file of messages of many channels, or of rows only, of messages that stay in bodies. */
export class Segment {
  readonly id: FileId;
  readonly path: string;
  /** The size of all its extents, with their rows. */
  bytes = 0;
  /** The size of those that a log still refers to. */
  liveBytes = 0;
  extentCount = 0;
  /** The size of the records in it; 0 if all stay in bodies. */
  recordBytes = 0;
  /** What its file is to be; undefined if the checkpoint of a release 0.1.0 does not say it. */
  file: SegmentFile | undefined;
  /** The end of the last of its extents that a log has referred to. */
  extentsEnd = 0;
  /** It is missing, short, or a merge found damage in it: it is left as it is. */
  isDamaged = false;
  /** A merge reads it: until that has ended it stays, whatever limits drop. */
  isMerging = false;
  /** Its file was removed: nothing refers to it any more. */
  isRemoved = false;

  constructor(id: FileId, path: string) {
    this.id = id;
    this.path = path;
  }

  /** An extent lies in it. */
  has(extent: Extent): void {
    this.bytes += extent.totalBytes;
    this.extentCount++;
    if (extent.body === undefined) this.recordBytes += extent.recordBytes;
    this.extentsEnd = Math.max(this.extentsEnd, extent.offset + extent.totalBytes);
  }

  /** The bytes that its file has at least. */
  get leastBytes(): number {
    return this.file?.bytes ?? this.extentsEnd + this.extentCount * FORMER_ENTRY_BYTES + FOOTER_BYTES;
  }
}

/**
 * A run of one channel's messages: a row for each in a segment, and their records before the rows, or in a body. Or a gap: sequences of
 * messages that a repair could not save, or that an import has not found, which are given to no other message. A gap lies in no segment, and is never a log's oldest extent.
 */
export class Extent {
  readonly segment: Segment;
  readonly first: number;
  readonly last: number;
  /** In the segment's file. */
  readonly offset: number;
  /** The size of the records. Those in a segment lie back to back. */
  readonly recordBytes: number;
  /** The journal file that the records are in; undefined if they are in the segment. */
  readonly body: Body | undefined;

  constructor(
    segment: Segment,
    first: number,
    last: number,
    offset: number,
    recordBytes: number,
    body: Body | undefined,
  ) {
    this.segment = segment;
    this.first = first;
    this.last = last;
    this.offset = offset;
    this.recordBytes = recordBytes;
    this.body = body;
  }

  static gap(first: number, last: number): Extent {
    return new Extent(NO_SEGMENT, first, last, 0, 0, undefined);
  }

  /** No record has 0 bytes. */
  get isGap(): boolean {
    return this.recordBytes === 0;
  }

  get count(): number {
    return this.last - this.first + 1;
  }

  /** What the records are read from. */
  get records(): Blob {
    return this.body ?? this.segment;
  }

  get rowsOffset(): number {
    return this.body === undefined ? this.offset + this.recordBytes : this.offset;
  }

  /** What it takes in the segment. */
  get totalBytes(): number {
    if (this.isGap) return 0;
    const rowBytes = this.count * ROW_BYTES;
    return this.body === undefined ? this.recordBytes + rowBytes : rowBytes;
  }
}

const NO_SEGMENT = new Segment({ epoch: 0, number: 0 }, '');

/** Where in `extents`, which are in order, the one with `sequence` is; -1 if there is none. */
export function extentIndex(extents: readonly Extent[], sequence: number): number {
  let low = 0;
  let high = extents.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const extent = must(extents[middle], 'the middle lies between the ends');
    if (sequence < extent.first) high = middle - 1;
    else if (sequence > extent.last) low = middle + 1;
    else return middle;
  }
  return -1;
}
