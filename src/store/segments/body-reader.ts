import { type DamageError, damaged } from '../../files/store-error.js';
import { readMsgProtoSequence } from '../../protocol/msgproto.js';
import { copyBytes } from '../../util/copy-bytes.js';
import { FILE_HEADER_BYTES } from '../format/file-header.js';
import {
  checkRecord,
  MAX_GUID_BYTES,
  MESSAGE_HEADER_BYTES,
  messageChannelId,
  msgProtoStart,
  RECORD_HEADER_BYTES,
  RecordType,
  readU32,
} from '../format/record.js';
import { isRowWhole, ROW_BYTES, rowOffset, rowSize } from '../format/segment-format.js';
import { type Body, type BodyReader, readBody } from './body.js';
import type { LoadedRun, LoadedRunOwner } from './loaded-runs.js';
import type { Extent } from './segment.js';

/** A log that messages are read for. */
export interface RunReaderLog extends LoadedRunOwner {
  readonly id: number;
}

/** A run has so many bytes, unless its first message alone has more. */
export const READ_AHEAD_BYTES = 256 * 1024;
/** Records of others between two of a channel that are read over: another read would cost more than so many bytes. */
const GAP_BYTES = 8 * 1024;
/** Where a channel has few of a body's messages, a run of them takes a read for each. */
const MAX_READS = 64;
const MAX_ROWS = 2_048;
/** What a message's record has beyond its MsgProto, at most. */
const MAX_FRAME_BYTES = MESSAGE_HEADER_BYTES + MAX_GUID_BYTES;
/** A record is known by so many of its first bytes: channel, and behind the guid the sequence. */
const KNOWN_BY_BYTES = MAX_FRAME_BYTES + 16;
/** One behind the other, that a message is found past. A sector of them. */
const MAX_DAMAGED_ROWS = 256;

/** Bytes of a body that are read at once. */
interface Piece {
  readonly start: number;
  end: number;
  /** Where in the body the records begin that are wanted. */
  readonly records: number[];
}

/**
 * Reads the message `sequence` of an extent whose records stay in a body, and as many after it as fit the read-ahead: the rows first, then
 * the records in as few reads as the records between them allow.
 *
 * @throws StoreError naming file and offset if that message is damaged
 */
export async function readBodyRun(
  blobs: BodyReader,
  log: RunReaderLog,
  extent: Extent,
  body: Body,
  sequence: number,
): Promise<LoadedRun> {
  const rest = extent.last - sequence + 1;
  const wanted = Math.ceil((READ_AHEAD_BYTES * extent.count) / extent.recordBytes);
  const count = Math.min(rest, Math.max(1, Math.min(MAX_ROWS, wanted)));
  const rows = Buffer.allocUnsafe(count * ROW_BYTES);
  const rowsAt = extent.rowsOffset + (sequence - extent.first) * ROW_BYTES;
  const bytes = await blobs.read(extent.segment, rows, rowsAt);
  const whole = wholeRows(rows, bytes);
  const pieces =
    whole > 0
      ? piecesOf(rows, whole, body.end)
      : [await pieceOf(blobs, log, extent, body, sequence, damagedRow(extent, rowsAt))];
  return await readPieces(blobs, log, body, pieces, sequence);
}

function damagedRow({ segment }: Extent, at: number): DamageError {
  return damaged(segment.path, at, 'a row of the index is not whole');
}

function wholeRows(rows: Buffer, bytes: number): number {
  let count = 0;
  while ((count + 1) * ROW_BYTES <= bytes && isRowWhole(rows, count * ROW_BYTES)) count++;
  return count;
}

/** What is to be read for these rows, as far as the read-ahead goes. */
function piecesOf(rows: Buffer, count: number, bodyEnd: number): Piece[] {
  const pieces: Piece[] = [];
  let piece: Piece | undefined;
  let bytes = 0;
  for (let i = 0; i < count; i++) {
    const start = rowOffset(rows, i * ROW_BYTES);
    // A row does not say how long the guid is.
    let end = Math.min(bodyEnd, start + MAX_FRAME_BYTES + rowSize(rows, i * ROW_BYTES));
    const next = i + 1 < count ? rowOffset(rows, (i + 1) * ROW_BYTES) : end;
    if (next > start) end = Math.min(end, next);
    if (piece !== undefined && start >= piece.end && start - piece.end <= GAP_BYTES) {
      bytes += end - piece.end;
      if (bytes > READ_AHEAD_BYTES) break;
      piece.end = end;
      piece.records.push(start);
      continue;
    }
    bytes += end - start;
    if (piece !== undefined && (bytes > READ_AHEAD_BYTES || pieces.length === MAX_READS)) break;
    piece = { start, end, records: [start] };
    pieces.push(piece);
  }
  return pieces;
}

async function readPieces(
  blobs: BodyReader,
  log: RunReaderLog,
  body: Body,
  pieces: readonly Piece[],
  first: number,
): Promise<LoadedRun> {
  const room = pieces.reduce((sum, { start, end }) => sum + Math.max(0, end - start), 0);
  const buffer = Buffer.allocUnsafeSlow(room);
  const starts = new Uint32Array(pieces.reduce((sum, { records }) => sum + records.length, 0));
  let count = 0;
  let usedBytes = 0;
  let at = 0;
  reading: for (const { start, end, records } of pieces) {
    const into = buffer.subarray(at, at + Math.max(0, end - start));
    const limit = at + (await readBody(blobs, body, into, start));
    for (const offset of records) {
      const pos = at + offset - start;
      const sequence = first + count;
      const recordEnd = checkRecord(buffer, pos, limit);
      const isDue = recordEnd >= 0 && isMessage(buffer, pos, recordEnd, log.id, sequence);
      if (!isDue) {
        // A read of that very message reports it.
        if (count > 0) break reading;
        throw damaged(
          body.path,
          offset,
          recordEnd < 0
            ? `message ${sequence} is not whole`
            : `message ${sequence} of channel ${log.id} is due here`,
        );
      }
      starts[count++] = pos;
      usedBytes += recordEnd - pos;
    }
    at += into.length;
  }
  const run = { owner: log, first, last: first + count - 1, buffer, starts: starts.slice(0, count) };
  return room > 2 * usedBytes ? compacted(run, usedBytes) : run;
}

/** The memory for what was read is limited, and is for messages rather than for what lay between them. */
function compacted(run: LoadedRun, bytes: number): LoadedRun {
  const buffer = Buffer.allocUnsafeSlow(bytes);
  const starts = new Uint32Array(run.starts.length);
  let at = 0;
  for (const [i, start] of run.starts.entries()) {
    starts[i] = at;
    at = copyBytes(buffer, at, run.buffer, start, start + 8 + readU32(run.buffer, start));
  }
  return { ...run, buffer, starts };
}

function isMessage(buffer: Buffer, start: number, end: number, channelId: number, sequence: number): boolean {
  return (
    buffer[start + 8] === RecordType.message &&
    messageChannelId(buffer, start) === channelId &&
    readMsgProtoSequence(buffer, msgProtoStart(buffer, start), end) === sequence
  );
}

/**
 * Finds a message whose row is damaged: it comes behind the one of the nearest whole row before it, and record follows record. Its own
 * CRC, channel and sequence confirm that it is the right one.
 */
async function pieceOf(
  blobs: BodyReader,
  log: RunReaderLog,
  extent: Extent,
  body: Body,
  sequence: number,
  problem: DamageError,
): Promise<Piece> {
  const first = Math.max(extent.first, sequence - MAX_DAMAGED_ROWS);
  const rows = Buffer.alloc((sequence - first) * ROW_BYTES);
  await blobs.read(extent.segment, rows, extent.rowsOffset + (first - extent.first) * ROW_BYTES);
  let row = rows.length - ROW_BYTES;
  while (row >= 0 && !isRowWhole(rows, row)) row -= ROW_BYTES;
  const from = row >= 0 ? rowOffset(rows, row) : FILE_HEADER_BYTES;
  const window = Buffer.allocUnsafeSlow(READ_AHEAD_BYTES);
  let windowAt = from;
  let bytes = 0;
  for (let offset = from; offset + RECORD_HEADER_BYTES <= body.end; ) {
    if (offset + KNOWN_BY_BYTES > windowAt + bytes && (windowAt !== offset || bytes === 0)) {
      windowAt = offset;
      bytes = await readBody(blobs, body, window.subarray(0, body.end - offset), offset);
    }
    const at = offset - windowAt;
    if (at + RECORD_HEADER_BYTES > bytes) break;
    const end = offset + 8 + readU32(window, at);
    if (end <= offset + 8 || end > body.end) break;
    const knownEnd = Math.min(bytes, at + end - offset);
    if (knownEnd - at > MESSAGE_HEADER_BYTES && isMessage(window, at, knownEnd, log.id, sequence))
      return { start: offset, end, records: [offset] };
    offset = end;
  }
  throw problem;
}
