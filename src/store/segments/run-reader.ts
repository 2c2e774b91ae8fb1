import { DamageError, damaged } from '../../files/store-error.js';
import { readMsgProtoSequence } from '../../protocol/msgproto.js';
import { checkRecord, messageChannelId, msgProtoStart, RecordType, readU32 } from '../format/record.js';
import { isRowWhole, ROW_BYTES, rowOffset } from '../format/segment-format.js';
import type { Blobs } from '../types/blobs.js';
import { READ_AHEAD_BYTES, type RunReaderLog, readBodyRun } from './body-reader.js';
import { readRows } from './head-rows.js';
import type { LoadedRun } from './loaded-runs.js';
import type { Extent } from './segment.js';

/** One behind the other, that a message is found past. A sector of them. */
const MAX_DAMAGED_ROWS = 256;
const TYPICAL_RECORD_BYTES = 128;

/**
 * Where a record lies in its extent. If its row is damaged, the records before it lead there. Its own CRC and sequence
 * confirm that they do.
 */
async function offsetOf(blobs: Blobs, extent: Extent, sequence: number): Promise<number> {
  try {
    return rowOffset(await readRows(blobs, extent, sequence, 1), 0);
  } catch (error) {
    if (!(error instanceof DamageError)) throw error;
    return await offsetPastDamage(blobs, extent, sequence, error);
  }
}

/** One read finds the nearest row before it that is whole: where a whole segment is damaged, each of its messages comes here. */
async function offsetPastDamage(
  blobs: Blobs,
  extent: Extent,
  sequence: number,
  error: DamageError,
): Promise<number> {
  const first = Math.max(extent.first, sequence - MAX_DAMAGED_ROWS);
  const rows = Buffer.alloc((sequence - first) * ROW_BYTES);
  await blobs.read(extent.segment, rows, extent.rowsOffset + (first - extent.first) * ROW_BYTES);
  let from = sequence - 1;
  while (from >= first && !isRowWhole(rows, (from - first) * ROW_BYTES)) from--;
  let offset = 0;
  if (from >= first) offset = rowOffset(rows, (from - first) * ROW_BYTES);
  else if (first === extent.first) from = first;
  else throw error;
  const header = Buffer.allocUnsafe(8);
  for (; from < sequence && offset < extent.recordBytes; from++) {
    const bytes = await blobs.read(extent.segment, header, extent.offset + offset);
    if (bytes < header.length)
      throw damaged(extent.segment.path, extent.offset + offset, `message ${from} is missing`);
    offset = Math.min(extent.recordBytes, offset + 8 + readU32(header, 0));
  }
  return offset;
}

/**
 * Reads the message `sequence` of an extent, and as many after it as fit the read-ahead.
 *
 * @throws StoreError naming file and offset of the first damage among them
 */
export async function readRun(
  blobs: Blobs,
  log: RunReaderLog,
  extent: Extent,
  sequence: number,
): Promise<LoadedRun> {
  const { segment, body } = extent;
  if (body !== undefined) return await readBodyRun(blobs, log, extent, body, sequence);
  const offset = await offsetOf(blobs, extent, sequence);
  const rest = extent.recordBytes - offset;
  if (rest <= 0) throw damaged(segment.path, extent.offset + offset, `message ${sequence} is due here`);
  let buffer = Buffer.allocUnsafeSlow(Math.min(READ_AHEAD_BYTES, rest));
  const position = extent.offset + offset;
  let bytes = await blobs.read(segment, buffer, position);
  // A message larger than the read-ahead is read alone.
  const firstBytes = bytes >= 4 ? 8 + readU32(buffer, 0) : 0;
  if (firstBytes > buffer.length && firstBytes <= rest) {
    buffer = Buffer.allocUnsafeSlow(firstBytes);
    bytes = await blobs.read(segment, buffer, position);
  }
  let starts = new Uint32Array(Math.ceil(buffer.length / TYPICAL_RECORD_BYTES) + 1);
  let count = 0;
  let pos = 0;
  while (pos < bytes) {
    const end = checkRecord(buffer, pos, bytes);
    if (end < 0) {
      // Cut by the end of the read, or damaged: then a read of that very message reports it.
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
