import type { FileId } from '../../files/file-names.js';
import { must } from '../../util/assert.js';
import {
  DIRECTORY_ENTRY_BYTES,
  FOOTER_BYTES,
  ROW_BYTES,
  type SegmentFile,
} from '../format/segment-format.js';

/** An immutable file of messages of many channels. */
export class Segment {
  readonly id: FileId;
  readonly path: string;
  /** The size of all its extents, with their rows. */
  bytes = 0;
  /** The size of those that a log still refers to. */
  liveBytes = 0;
  extentCount = 0;
  /** What its file is to be; undefined if the checkpoint of a release 0.1.0 does not say it. */
  file: SegmentFile | undefined;
  /** The end of the last of its extents that a log has referred to. */
  extentsEnd = 0;
  /** It is missing, short, or a merge found damage in it: it is left as it is. */
  isDamaged = false;
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
    this.extentsEnd = Math.max(this.extentsEnd, extent.offset + extent.totalBytes);
  }

  /** The bytes that its file has at least. */
  get leastBytes(): number {
    return this.file?.bytes ?? this.extentsEnd + this.extentCount * DIRECTORY_ENTRY_BYTES + FOOTER_BYTES;
  }
}

/**
 * A run of one channel's messages in a segment: their records, and behind them a row for each. Or a gap: sequences of messages that a
 * repair could not save, which are given to no other message. A gap lies in no segment, and is never a log's oldest extent.
 */
export class Extent {
  readonly segment: Segment;
  readonly first: number;
  readonly last: number;
  /** In the file. */
  readonly offset: number;
  /** The size of the records. The rows follow. */
  readonly recordBytes: number;

  constructor(segment: Segment, first: number, last: number, offset: number, recordBytes: number) {
    this.segment = segment;
    this.first = first;
    this.last = last;
    this.offset = offset;
    this.recordBytes = recordBytes;
  }

  static gap(first: number, last: number): Extent {
    return new Extent(NO_SEGMENT, first, last, 0, 0);
  }

  /** No record has 0 bytes. */
  get isGap(): boolean {
    return this.recordBytes === 0;
  }

  get count(): number {
    return this.last - this.first + 1;
  }

  get rowsOffset(): number {
    return this.offset + this.recordBytes;
  }

  get totalBytes(): number {
    return this.isGap ? 0 : this.recordBytes + this.count * ROW_BYTES;
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
