import { FILE_HEADER_BYTES } from '../format/file-header.js';
import { DIRECTORY_ENTRY_BYTES, FOOTER_BYTES, ROW_BYTES } from '../format/segment-format.js';

// How much of the journal the room holds that is set aside for a segment.

/**
 * What is set aside for each byte of the journal, at most. The records themselves need room where they lie in a journal file that grows, or
 * in a segment that they are copied to; and a small message's row is 16 bytes beside a record of 40.
 */
const SEGMENT_SHARE = 1.4;
/** How much of that is for rows. */
const ROWS_SHARE = 0.4;
/** And for a segment's directory. */
const DIRECTORY_BYTES = 1024 * 1024;

/** Bytes of the journal for which there is room in so many bytes that are set aside. */
export function flushable(segmentBytes: number): number {
  return (segmentBytes - Math.min(DIRECTORY_BYTES, segmentBytes / 8)) / SEGMENT_SHARE;
}

/** Bytes to set aside for so many bytes of the journal. */
export function segmentBytesFor(bytes: number): number {
  return Math.ceil(bytes * SEGMENT_SHARE) + DIRECTORY_BYTES;
}

/** Bytes that must stay set aside for the rows of so many bytes of the journal, of those for which there was room: the others may go to the journal. */
export function rowsBytesFor(bytes: number): number {
  return Math.ceil(bytes * ROWS_SHARE + Math.min(DIRECTORY_BYTES, bytes / 5));
}

/** The same for so many messages, of whatever size, in as many channels. */
export function rowsBytesOf(messages: number): number {
  return FILE_HEADER_BYTES + messages * (ROW_BYTES + DIRECTORY_ENTRY_BYTES) + FOOTER_BYTES;
}
