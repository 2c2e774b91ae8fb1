import { DamageError, damaged, StoreError } from '../../files/store-error.js';
import { checkRecord } from '../format/record.js';
import { ROW_BYTES, rowOffset, rowSize, rowTimestampMs } from '../format/segment-format.js';
import type { FileLog } from '../log/file-log.js';
import { readRows } from '../segments/head-rows.js';
import { MergeReader } from '../segments/merge-reader.js';
import type { Extent } from '../segments/segment.js';
import type { SegmentWriter } from '../segments/segment-writer.js';
import type { BlobReader } from '../types/blobs.js';

const READ_BYTES = 256 * 1024;
/** Rows read at once. */
const ROWS = READ_BYTES / ROW_BYTES;

/** A run of a log's extents that will be one. */
export interface MergeRun {
  log: FileLog;
  extents: Extent[];
}

/** Copies extents into another segment: their records, each checked, or only the rows if the records stay in bodies. */
export class MergeCopy {
  // Both kept from one merge to the next: what is allocated for each lies about until the garbage collector comes by.
  readonly #reader: MergeReader;
  readonly #records = Buffer.allocUnsafeSlow(READ_BYTES);
  #isStopped = false;

  constructor(segments: BlobReader) {
    this.#reader = new MergeReader(segments);
  }

  /** The next merge reads other segments. */
  reset(): void {
    this.#reader.reset();
  }

  /** The copy that is under way fails before long. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Copies what is alive of a run. */
  async copy(writer: SegmentWriter, { log, extents }: MergeRun): Promise<void> {
    const [oldest] = extents;
    const newest = extents.at(-1);
    if (oldest === undefined || newest === undefined) return;
    let sequence = Math.max(oldest.first, log.firstSequence);
    if (sequence > newest.last) return;
    let body = oldest.body;
    writer.startExtent(log.id, sequence, body);
    for (const extent of extents) {
      if (extent.body !== body) {
        writer.endExtent();
        body = extent.body;
        writer.startExtent(log.id, sequence, body);
      }
      // An extent counts as a whole as long as a message of it is alive.
      let recordBytes = extent.recordBytes;
      while (sequence <= extent.last) {
        if (this.#isStopped) throw new StoreError('closed', 'The store is closed');
        const rows = await readRows(
          this.#reader,
          extent,
          sequence,
          Math.min(ROWS, extent.last - sequence + 1),
        );
        try {
          if (body === undefined) await this.#copyRecords(writer, extent, sequence, rows);
          else writer.rows(rows, recordBytes);
          recordBytes = 0;
        } catch (error) {
          // No client has asked for that message yet. Health reports it all the same.
          if (error instanceof DamageError) await log.probe(sequence, sequence + rows.length / ROW_BYTES - 1);
          throw error;
        }
        sequence += rows.length / ROW_BYTES;
      }
    }
    writer.endExtent();
    await writer.drain();
  }

  /** The records of consecutive rows, read piece by piece. */
  async #copyRecords(writer: SegmentWriter, extent: Extent, first: number, rows: Buffer): Promise<void> {
    let row = 0;
    while (row < rows.length) {
      const start = rowOffset(rows, row);
      let until = row;
      while (until + ROW_BYTES < rows.length && rowOffset(rows, until + ROW_BYTES) - start <= READ_BYTES) {
        until += ROW_BYTES;
      }
      // The next row's offset shows where a record ends. The last one's end stands in its own header only.
      let end = until > row ? rowOffset(rows, until) : 0;
      if (until === row) {
        const isLast = first + row / ROW_BYTES === extent.last;
        if (isLast) end = extent.recordBytes;
        else if (row + ROW_BYTES < rows.length) end = rowOffset(rows, row + ROW_BYTES);
        else {
          const next = await readRows(this.#reader, extent, first + row / ROW_BYTES + 1, 1);
          end = rowOffset(next, 0);
        }
        until = row + ROW_BYTES;
      }
      const room = end - start <= READ_BYTES ? this.#records : Buffer.allocUnsafeSlow(end - start);
      const buffer = room.subarray(0, end - start);
      const bytes = await this.#reader.read(extent.segment, buffer, extent.offset + start);
      let pos = 0;
      for (; row < until; row += ROW_BYTES) {
        const recordEnd = rowOffset(rows, row) - start === pos ? checkRecord(buffer, pos, bytes) : -1;
        if (recordEnd < 0) {
          throw damaged(extent.segment.path, extent.offset + start + pos, 'a record is not whole');
        }
        writer.message(buffer, pos, recordEnd, rowSize(rows, row), rowTimestampMs(rows, row));
        pos = recordEnd;
      }
      // What was added refers to `buffer`, which the next piece goes into.
      await writer.drain();
    }
  }
}
