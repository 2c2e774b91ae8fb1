import { copyBytes } from '../../util/copy-bytes.js';
import { encodeFileHeader, FILE_HEADER_BYTES, Magic } from '../format/file-header.js';
import {
  DIRECTORY_ENTRY_BYTES,
  encodeFooter,
  footerCrcOf,
  MAX_EXTENT_BYTES,
  ROW_BYTES,
  rowOffset,
  rowSize,
  rowTimestampMs,
  writeDirectoryEntry,
  writeRow,
} from '../format/segment-format.js';
import type { BlobWriter } from '../types/blobs.js';
import type { Body } from './body.js';
import { Extent, Segment } from './segment.js';

const OUT_BYTES = 1024 * 1024;
const MAX_SPARE = 4;

/** Written buffers, for the next segment: allocating them anew made the garbage collector run for each segment. */
const spare: Buffer[] = [];

const FIRST_ROWS_BYTES = 4096;
/** Rows of an extent that has more are not kept. */
const MAX_SPARE_ROWS_BYTES = 1024 * 1024;
/** The rows of the last writer, which have grown to what an extent has: a store writes one or two segments at a time. */
let spareRows: Buffer | undefined;

/** An extent of a segment that is being written, with its channel. */
export interface WrittenExtent {
  channelId: number;
  extent: Extent;
}

/**
 * Writes one segment, front to back: extents with their records, or of rows that point into bodies. Messages are added without waiting; when `isFull`, `drain` before the next one, which
 * is also what lets the event loop breathe.
 */
export class SegmentWriter {
  readonly segment: Segment;
  readonly extents: WrittenExtent[] = [];
  readonly #blob: BlobWriter;
  #out = takeBuffer();
  #outUsed = 0;
  #full: Buffer[] = [];
  /** Bytes that have been put, written or not. */
  #position = 0;
  #rows = takeRows();
  #rowCount = 0;
  #channelId = 0;
  #first = 0;
  #extentStart = 0;
  #extentBytes = 0;
  #body: Body | undefined;
  // The run of records that lie one behind the other and are copied at once.
  #runBuffer: Buffer = this.#rows;
  #runStart = 0;
  #runEnd = 0;

  constructor(blob: BlobWriter, storeId: string) {
    this.#blob = blob;
    this.segment = new Segment(blob.id, blob.path);
    this.#put(encodeFileHeader(Magic.segment, { ...blob.id, storeId, salt: 0 }), 0, FILE_HEADER_BYTES);
  }

  get isFull(): boolean {
    return this.#full.length > 0;
  }

  /**
   * Messages of a channel follow, in order, from `firstSequence`.
   *
   * @param body where their records stay: `row` is called for each. Undefined: they are copied, by `message`
   */
  startExtent(channelId: number, firstSequence: number, body?: Body): void {
    this.#channelId = channelId;
    this.#body = body;
    this.#first = firstSequence;
    this.#extentStart = this.#position;
    this.#extentBytes = 0;
    this.#rowCount = 0;
  }

  /** The record of the next message. `buffer` must stay as it is until the extent's end or the next `drain`. */
  message(buffer: Buffer, start: number, end: number, messageBytes: number, timestampMs: number): void {
    if (this.#extentBytes + end - start > MAX_EXTENT_BYTES && this.#rowCount > 0) {
      const next = this.#first + this.#rowCount;
      this.endExtent();
      this.startExtent(this.#channelId, next);
    }
    this.#addRow(this.#extentBytes, messageBytes, timestampMs);
    this.#extentBytes += end - start;
    if (buffer === this.#runBuffer && start === this.#runEnd && this.#runEnd > this.#runStart) {
      this.#runEnd = end;
      if (end - this.#runStart >= OUT_BYTES) this.#endRun();
      return;
    }
    this.#endRun();
    this.#runBuffer = buffer;
    this.#runStart = start;
    this.#runEnd = end;
  }

  /** The next message, whose record stays in the body, at this offset. */
  row(offset: number, recordBytes: number, messageBytes: number, timestampMs: number): void {
    this.#addRow(offset, messageBytes, timestampMs);
    this.#extentBytes += recordBytes;
  }

  /** Rows of another extent of the same body, which follow. @param recordBytes the size of their records */
  rows(rows: Buffer, recordBytes: number): void {
    for (let at = 0; at < rows.length; at += ROW_BYTES)
      this.#addRow(rowOffset(rows, at), rowSize(rows, at), rowTimestampMs(rows, at));
    this.#extentBytes += recordBytes;
  }

  endExtent(): void {
    this.#endRun();
    if (this.#rowCount === 0) return;
    this.#put(this.#rows, 0, this.#rowCount * ROW_BYTES);
    const last = this.#first + this.#rowCount - 1;
    this.#rowCount = 0;
    const { segment } = this;
    const extent = new Extent(segment, this.#first, last, this.#extentStart, this.#extentBytes, this.#body);
    this.extents.push({ channelId: this.#channelId, extent });
    segment.has(extent);
  }

  async drain(): Promise<void> {
    this.#endRun();
    for (const buffer of this.#full) {
      await this.#blob.append(buffer, 0, buffer.length);
      giveBuffer(buffer);
    }
    this.#full = [];
  }

  /** Writes what is left. The segment is whole then, and the blob's to make durable. */
  async finish(): Promise<void> {
    const directoryOffset = this.#position;
    const entries = Buffer.allocUnsafe(this.extents.length * DIRECTORY_ENTRY_BYTES);
    let at = 0;
    for (const { channelId, extent } of this.extents) {
      writeDirectoryEntry(entries, at, {
        channelId,
        count: extent.last - extent.first + 1,
        firstSequence: extent.first,
        offset: extent.offset,
        bytes: extent.recordBytes,
        body: extent.body?.id,
      });
      at += DIRECTORY_ENTRY_BYTES;
    }
    this.#put(entries, 0, entries.length);
    const footer = encodeFooter(this.extents.length, directoryOffset);
    this.#put(footer, 0, footer.length);
    this.segment.file = { bytes: this.#position, footerCrc: footerCrcOf(footer) };
    await this.drain();
    await this.#blob.append(this.#out, 0, this.#outUsed);
    giveBuffer(this.#out);
    giveRows(this.#rows);
  }

  #addRow(offset: number, messageBytes: number, timestampMs: number): void {
    if ((this.#rowCount + 1) * ROW_BYTES > this.#rows.length) {
      const rows = Buffer.allocUnsafeSlow(this.#rows.length * 2);
      this.#rows.copy(rows);
      this.#rows = rows;
    }
    writeRow(this.#rows, this.#rowCount++ * ROW_BYTES, offset, messageBytes, timestampMs);
  }

  #endRun(): void {
    const start = this.#runStart;
    const end = this.#runEnd;
    if (start === end) return;
    this.#runStart = this.#runEnd = 0;
    this.#put(this.#runBuffer, start, end);
  }

  #put(buffer: Buffer, start: number, end: number): void {
    this.#position += end - start;
    let from = start;
    for (;;) {
      const room = this.#out.length - this.#outUsed;
      const count = Math.min(room, end - from);
      this.#outUsed = copyBytes(this.#out, this.#outUsed, buffer, from, from + count);
      from += count;
      if (from === end) return;
      this.#full.push(this.#out);
      this.#out = takeBuffer();
      this.#outUsed = 0;
    }
  }
}

function takeBuffer(): Buffer {
  return spare.pop() ?? Buffer.allocUnsafeSlow(OUT_BYTES);
}

function giveBuffer(buffer: Buffer): void {
  if (spare.length < MAX_SPARE) spare.push(buffer);
}

function takeRows(): Buffer {
  const rows = spareRows ?? Buffer.allocUnsafeSlow(FIRST_ROWS_BYTES);
  spareRows = undefined;
  return rows;
}

function giveRows(rows: Buffer): void {
  if (rows.length <= MAX_SPARE_ROWS_BYTES && !(spareRows !== undefined && spareRows.length > rows.length))
    spareRows = rows;
}

/** What was written for each channel, in order. */
export function extentsByChannel(written: readonly WrittenExtent[]): Map<number, Extent[]> {
  const byChannel = new Map<number, Extent[]>();
  for (const { channelId, extent } of written) {
    const list = byChannel.get(channelId);
    if (list === undefined) byChannel.set(channelId, [extent]);
    else list.push(extent);
  }
  return byChannel;
}
