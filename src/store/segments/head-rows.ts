import { DamageError, damaged, StoreError } from '../../files/store-error.js';
import { isRowWhole, ROW_BYTES, rowSize, rowTimestampMs } from '../format/segment-format.js';
import type { BlobReader, Blobs } from '../types/blobs.js';
import { type Extent, extentIndex, type Segment } from './segment.js';

const MIN_ROWS = 64;
const MAX_ROWS = 1024;

/** Reads `count` rows from the one of `sequence` on. @throws StoreError if one is damaged */
export async function readRows(
  blobs: BlobReader,
  extent: Extent,
  sequence: number,
  count: number,
): Promise<Buffer> {
  const rows = Buffer.allocUnsafe(count * ROW_BYTES);
  const position = extent.rowsOffset + (sequence - extent.first) * ROW_BYTES;
  checkRows(extent.segment, rows, position, await blobs.read(extent.segment, rows, position));
  return rows;
}

function checkRows(segment: Segment, rows: Buffer, position: number, bytes: number): void {
  for (let at = 0; at < rows.length; at += ROW_BYTES) {
    if (at + ROW_BYTES > bytes || !isRowWhole(rows, at)) {
      throw damaged(segment.path, position + at, 'a row of the index is not whole');
    }
  }
}

/** So many rows around a damaged one are asked for what it said: a sector of them. */
const NEIGHBOURS = 256;

/** The time of a message. If its row is damaged, that of the nearest one: messages lie in the order of their times. */
export async function readTimestampMs(blobs: BlobReader, extent: Extent, sequence: number): Promise<number> {
  try {
    return rowTimestampMs(await readRows(blobs, extent, sequence, 1), 0);
  } catch (error) {
    if (!(error instanceof DamageError)) throw error;
    const first = Math.max(extent.first, sequence - NEIGHBOURS);
    const count = Math.min(extent.last, sequence + NEIGHBOURS) - first + 1;
    const rows = Buffer.alloc(count * ROW_BYTES);
    await blobs.read(extent.segment, rows, extent.rowsOffset + (first - extent.first) * ROW_BYTES);
    if (!mendRows(rows)) throw error;
    return rowTimestampMs(rows, (sequence - first) * ROW_BYTES);
  }
}

/** Gives each damaged row what the one behind it says, or else the one before. @returns false if none is whole */
function mendRows(rows: Buffer): boolean {
  let whole = -1;
  for (let at = rows.length - ROW_BYTES; at >= 0; at -= ROW_BYTES) {
    if (isRowWhole(rows, at)) whole = at;
    else if (whole >= 0) rows.copy(rows, at, whole, whole + ROW_BYTES);
  }
  if (whole < 0) return false;
  for (let at = 0; at < rows.length; at += ROW_BYTES) {
    if (isRowWhole(rows, at)) whole = at;
    else rows.copy(rows, at, whole, whole + ROW_BYTES);
  }
  return true;
}

/**
 * The rows of a log's oldest messages, while those are on disk only: an append that drops the oldest needs to know its
 * size, and retention by age its time. The next rows are read ahead; if that comes too late, the append waits.
 */
export class HeadRows {
  #rows: Buffer = Buffer.alloc(0);
  #first = 0;
  #count = 0;
  #nextRows: Buffer | undefined;
  #nextFirst = 0;
  #isReading = false;
  readonly #onDamage: (error: Error) => void;

  /** @param onDamage rows are damaged, and their neighbours stand for them: limits are off by little */
  constructor(onDamage: (error: Error) => void) {
    this.#onDamage = onDamage;
  }

  size(blobs: Blobs, extents: readonly Extent[], sequence: number): number {
    const at = this.#at(blobs, extents, sequence);
    return rowSize(this.#rows, at);
  }

  timestampMs(blobs: Blobs, extents: readonly Extent[], sequence: number): number {
    const at = this.#at(blobs, extents, sequence);
    return rowTimestampMs(this.#rows, at);
  }

  #at(blobs: Blobs, extents: readonly Extent[], sequence: number): number {
    const index = sequence - this.#first;
    if (index < 0 || index >= this.#count) {
      this.#advance(blobs, extents, sequence);
      return (sequence - this.#first) * ROW_BYTES;
    }
    if (index * 2 >= this.#count && this.#nextRows === undefined && !this.#isReading) {
      this.#readAhead(blobs, extents, this.#first + this.#count);
    }
    return index * ROW_BYTES;
  }

  #advance(blobs: Blobs, extents: readonly Extent[], sequence: number): void {
    const next = this.#nextRows;
    this.#nextRows = undefined;
    if (
      next !== undefined &&
      sequence >= this.#nextFirst &&
      sequence < this.#nextFirst + next.length / ROW_BYTES
    ) {
      this.#take(next, this.#nextFirst);
      return;
    }
    const extent = extents[extentIndex(extents, sequence)];
    if (extent === undefined) throw new StoreError('damaged', `No file holds message ${sequence}`);
    const rows = Buffer.allocUnsafe(this.#wanted(extent, sequence) * ROW_BYTES);
    const position = extent.rowsOffset + (sequence - extent.first) * ROW_BYTES;
    const bytes = blobs.readNow(extent.segment, rows, position);
    try {
      checkRows(extent.segment, rows, position, bytes);
    } catch (error) {
      rows.fill(0, bytes);
      if (!mendRows(rows)) throw error;
      this.#onDamage(error as Error);
    }
    this.#take(rows, sequence);
  }

  #take(rows: Buffer, first: number): void {
    this.#rows = rows;
    this.#first = first;
    this.#count = rows.length / ROW_BYTES;
  }

  #readAhead(blobs: Blobs, extents: readonly Extent[], sequence: number): void {
    const extent = extents[extentIndex(extents, sequence)];
    if (extent === undefined || extent.isGap) return;
    this.#isReading = true;
    readRows(blobs, extent, sequence, this.#wanted(extent, sequence)).then(
      (rows) => {
        this.#isReading = false;
        this.#nextRows = rows;
        this.#nextFirst = sequence;
      },
      () => {
        // A caller that needs the rows reads them itself, and finds the same problem if it is still there.
        this.#isReading = false;
      },
    );
  }

  // Small first: a store may have ten thousand channels.
  #wanted(extent: Extent, sequence: number): number {
    return Math.min(extent.last - sequence + 1, Math.max(MIN_ROWS, Math.min(MAX_ROWS, this.#count * 2)));
  }
}
