import { readMsgProtoSequence } from '../protocol/msgproto.js';
import { damaged } from './errors.js';
import { readRows } from './head-rows.js';
import type { LoadedRun, LoadedRunOwner } from './loaded-runs.js';
import { checkRecord, messageChannelId, msgProtoStart, RecordType, readU32 } from './record.js';
import type { Extent } from './segment.js';
import type { SegmentFiles } from './segment-files.js';
import { rowOffset } from './segment-format.js';

const READ_AHEAD_BYTES = 256 * 1024;
const TYPICAL_RECORD_BYTES = 128;

/** A log that messages are read for. */
export interface RunReaderLog extends LoadedRunOwner {
  readonly id: number;
}

/**
 * Reads the message `sequence` of an extent, and as many after it as fit the read-ahead.
 *
 * @throws StoreError naming file and offset of the first damage among them
 */
export async function readRun(
  files: SegmentFiles,
  log: RunReaderLog,
  extent: Extent,
  sequence: number,
): Promise<LoadedRun> {
  const { segment } = extent;
  const offset = rowOffset(await readRows(files, extent, sequence, 1), 0);
  const rest = extent.recordBytes - offset;
  let buffer = Buffer.allocUnsafeSlow(Math.min(READ_AHEAD_BYTES, rest));
  const position = extent.offset + offset;
  let bytes = await files.read(segment, buffer, position);
  // A message larger than the read-ahead is read alone.
  const firstBytes = bytes >= 4 ? 8 + readU32(buffer, 0) : 0;
  if (firstBytes > buffer.length && firstBytes <= rest) {
    buffer = Buffer.allocUnsafeSlow(firstBytes);
    bytes = await files.read(segment, buffer, position);
  }
  let starts = new Uint32Array(Math.ceil(buffer.length / TYPICAL_RECORD_BYTES) + 1);
  let count = 0;
  let pos = 0;
  while (pos < bytes) {
    const end = checkRecord(buffer, pos, bytes);
    if (end < 0) {
      // Cut by the end of the read, or damaged: then whoever asks for that very message is told.
      if (count > 0) break;
      throw damaged(segment.path, position + pos, `message ${sequence + count} is not whole`);
    }
    if (
      buffer[pos + 8] !== RecordType.message ||
      messageChannelId(buffer, pos) !== log.id ||
      readMsgProtoSequence(buffer, msgProtoStart(buffer, pos), end) !== sequence + count
    ) {
      throw damaged(
        segment.path,
        position + pos,
        `message ${sequence + count} of channel ${log.id} is due here`,
      );
    }
    if (count === starts.length) {
      const grown = new Uint32Array(count * 2);
      grown.set(starts);
      starts = grown;
    }
    starts[count++] = pos;
    pos = end;
  }
  if (count === 0) throw damaged(segment.path, position, `message ${sequence} is missing`);
  return { owner: log, first: sequence, last: sequence + count - 1, buffer, starts: starts.slice(0, count) };
}
