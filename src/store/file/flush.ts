import { assert, must } from '../../util/assert.js';
import type { BlockQueue } from '../batch/block.js';
import { msgProtoStart, recordEnd } from '../format/record.js';
import type { Extent } from '../segments/segment.js';
import type { SegmentTable } from '../segments/segment-table.js';
import { extentsByChannel, SegmentWriter } from '../segments/segment-writer.js';
import type { JournalBody } from '../types/journal.js';
import type { Capture, LogCapture } from './checkpoint-capture.js';

export interface FlushParts {
  readonly storeId: string;
  readonly blocks: BlockQueue;
  readonly segments: SegmentTable;
}

/** Rows that are written in one go: some 2 ms. Then whatever else is due has its turn. */
const ROWS_AT_ONCE = 8_192;

/**
 * Writes a segment for the messages before a checkpoint's position: a row for each, which points to its record in the journal. Where the
 * journal keeps no files, the records are copied from its blocks.
 */
export async function flush(parts: FlushParts, capture: Capture): Promise<void> {
  const { segments, blocks } = parts;
  // Also of channels deleted meanwhile: a crash may come before the deletion is durable.
  const due = capture.logs
    .filter((c) => c.lastSequence > c.flushedThrough && c.lastSequence >= c.firstSequence)
    .sort((a, b) => a.log.id - b.log.id);
  if (due.length > 0) {
    // Where there is no room for it, it is written over what was set aside.
    const writer = await segments.blobs.put({ bytes: 0, isUrgent: true }, async (blob) => {
      const segmentWriter = new SegmentWriter(blob, parts.storeId);
      const extents = new ExtentWriter(parts, segmentWriter);
      for (const logCapture of due) await extents.write(logCapture);
      await segmentWriter.finish();
      return segmentWriter;
    });
    segments.all.add(writer.segment);
    const byChannel = extentsByChannel(writer.extents);
    for (const logCapture of due) addExtents(logCapture, byChannel.get(logCapture.log.id) ?? []);
    if (writer.segment.liveBytes === 0) segments.dead.add(writer.segment);
  }
  // What was dropped before it could be written needs no extent.
  for (const { log, lastSequence } of capture.logs) {
    if (log.flushedThrough < lastSequence) log.flushedThrough = lastSequence;
  }
  for (const logCapture of capture.logs) logCapture.flushedThrough = logCapture.lastSequence;
  blocks.unpinBefore(capture.blockId);
}

class ExtentWriter {
  readonly #parts: FlushParts;
  readonly #writer: SegmentWriter;
  #rows = 0;

  constructor(parts: FlushParts, writer: SegmentWriter) {
    this.#parts = parts;
    this.#writer = writer;
  }

  async write({ log, firstSequence, lastSequence, flushedThrough }: LogCapture): Promise<void> {
    const { blocks, segments } = this.#parts;
    const writer = this.#writer;
    const first = Math.max(flushedThrough + 1, firstSequence);
    let body: JournalBody | undefined;
    for (let sequence = first; sequence <= lastSequence; sequence++) {
      const block = must(blocks.get(log.blockIdOf(sequence)), 'what is in no segment is in memory');
      const offset = log.offsetOf(sequence);
      const place = block.placeOf(offset);
      // An extent lies in one file: where the journal goes on in the next one, another begins.
      if (sequence === first || place?.body !== body) {
        writer.endExtent();
        body = place?.body;
        writer.startExtent(log.id, sequence, body && segments.bodies.of(body));
      }
      const end = recordEnd(block.buffer, offset);
      const messageBytes = end - msgProtoStart(block.buffer, offset);
      const timestampMs = block.timestampMs(offset);
      if (place === undefined) writer.message(block.buffer, offset, end, messageBytes, timestampMs);
      else writer.row(offset + place.shift, end - offset, messageBytes, timestampMs);
      if (writer.isFull) await writer.drain();
      if (++this.#rows % ROWS_AT_ONCE === 0) await giveWay();
    }
    writer.endExtent();
  }
}

/** A timer of the store's clock does not keep a process alive. */
function giveWay(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function addExtents({ log, extents, lastSequence }: LogCapture, written: readonly Extent[]): void {
  assert(written.at(-1)?.last === lastSequence, 'a segment has all messages up to the position');
  extents.push(...written);
  if (!log.isDeleted) log.flushed(written);
}
