import { LENGTH_DELIMITED, MALFORMED, readTag, readVarint, skipValue, VARINT, wire } from './wire.js';

/** A decoded Ack. One object is reused for every Ack. */
export interface AckView {
  /** At most 2^53 - 1: no channel has a higher sequence. */
  sequence: number;
  /** Where the name of the channel lies in the decoded buffer. */
  subjectStart: number;
  subjectEnd: number;
}

export function newAckView(): AckView {
  return { sequence: 0, subjectStart: 0, subjectEnd: 0 };
}

const SUBJECT = 1;
const SEQUENCE = 2;

/** @returns false if `buffer[start, end)` is not an Ack */
export function decodeAck(buffer: Buffer, start: number, end: number, view: AckView): boolean {
  view.sequence = 0;
  view.subjectStart = view.subjectEnd = start;
  let pos = start;
  while (pos < end) {
    pos = readTag(buffer, pos, end);
    if (pos === MALFORMED) return false;
    switch (wire.fieldNumber) {
      case SUBJECT:
        if (wire.wireType !== LENGTH_DELIMITED) return false;
        pos = readVarint(buffer, pos, end);
        if (pos === MALFORMED || wire.value > end - pos) return false;
        view.subjectStart = pos;
        view.subjectEnd = pos += wire.value;
        break;
      case SEQUENCE:
        if (wire.wireType !== VARINT) return false;
        pos = readVarint(buffer, pos, end);
        if (pos === MALFORMED) return false;
        view.sequence = Math.min(wire.value, Number.MAX_SAFE_INTEGER);
        break;
      default:
        pos = skipValue(buffer, pos, end);
        if (pos === MALFORMED) return false;
    }
  }
  return true;
}
