import { assert, must } from '../../util/assert.js';
import type { BlockQueue } from '../batch/block.js';
import { msgProtoStart, recordEnd } from '../format/record.js';
import type { Extent } from '../segments/segment.js';
import type { SegmentTable } from '../segments/segment-table.js';
import { extentsByChannel, SegmentWriter } from '../segments/segment-writer.js';
import type { Capture, LogCapture } from './checkpoint-capture.js';

export interface FlushParts {
  readonly storeId: string;
  readonly blocks: BlockQueue;
  readonly segments: SegmentTable;
}

/** Moves the messages before a checkpoint's position from the journal's blocks into a segment. */
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
      for (const logCapture of due) await writeExtents(blocks, segmentWriter, logCapture);
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

async function writeExtents(
  blocks: BlockQueue,
  writer: SegmentWriter,
  { log, firstSequence, lastSequence, flushedThrough }: LogCapture,
): Promise<void> {
  const first = Math.max(flushedThrough + 1, firstSequence);
  writer.startExtent(log.id, first);
  for (let sequence = first; sequence <= lastSequence; sequence++) {
    const block = must(blocks.get(log.blockIdOf(sequence)), 'what is in no segment is in memory');
    const offset = log.offsetOf(sequence);
    const end = recordEnd(block.buffer, offset);
    const messageBytes = end - msgProtoStart(block.buffer, offset);
    writer.message(block.buffer, offset, end, messageBytes, block.timestampMs(offset));
    if (writer.isFull) await writer.drain();
  }
  writer.endExtent();
}

function addExtents({ log, extents, lastSequence }: LogCapture, written: readonly Extent[]): void {
  assert(written.at(-1)?.last === lastSequence, 'a segment has all messages up to the position');
  extents.push(...written);
  if (!log.isDeleted) log.flushed(written);
}
