import {
  LENGTH_DELIMITED,
  MALFORMED,
  readTag,
  readVarint,
  skipValue,
  VARINT,
  varintToBigInt,
  wire,
  writeVarint,
} from '../../protocol/wire.js';
import { copyBytes } from '../../util/copy-bytes.js';

const SEQUENCE = 1;
const SUBJECT = 2;
const REPLY = 3;
const DATA = 4;
const TIMESTAMP = 5;

const MAX_VARINT_BYTES = 10;
/** Seven bytes of a varint have 49 bits: a double has them exactly. */
const LOW_BYTES = 7;
const LOW_UNIT = 2 ** 49;
const NS_PER_MS = 1_000_000;

/**
 * Where the fields of a MsgProto lie that a Go server has stored. One view is used for all messages: decoding makes no objects.
 */
export class StoredMessage {
  /** 0 if there is none. */
  sequence = 0;
  /** Milliseconds since 1970. */
  timestampMs = 0;
  subjectStart = 0;
  subjectEnd = 0;
  replyStart = 0;
  replyEnd = 0;
  dataStart = 0;
  dataEnd = 0;
  /** The bytes of the timestamp's varint; empty if there is none. */
  timestampStart = 0;
  timestampEnd = 0;
  /** Whether it has the stored fields and nothing else, each once and in their order: such bytes can be copied as they are. */
  isPlain = false;

  /** @returns false if `buffer[start, end)` is not a MsgProto, or its sequence is above 2^53 */
  decode(buffer: Buffer, start: number, end: number): boolean {
    this.sequence = 0;
    this.timestampMs = 0;
    this.subjectStart = this.subjectEnd = start;
    this.replyStart = this.replyEnd = start;
    this.dataStart = this.dataEnd = start;
    this.timestampStart = this.timestampEnd = start;
    this.isPlain = true;
    let lastField = 0;
    let pos = start;
    while (pos < end) {
      const tag = buffer[pos];
      let field = tag >>> 3;
      let wireType = tag & 7;
      if (tag < 0x80 && field > 0 && field <= TIMESTAMP) {
        pos++;
      } else {
        pos = readTag(buffer, pos, end);
        if (pos === MALFORMED) return false;
        field = wire.fieldNumber;
        wireType = wire.wireType;
      }
      if (field <= lastField || field > TIMESTAMP) this.isPlain = false;
      lastField = field;
      if (field === SEQUENCE || field === TIMESTAMP) {
        if (wireType !== VARINT) return false;
        const valueStart = pos;
        pos = readVarint(buffer, pos, end);
        if (pos === MALFORMED) return false;
        if (field === SEQUENCE) {
          if (wire.value > Number.MAX_SAFE_INTEGER) return false;
          this.sequence = wire.value;
        } else {
          this.timestampStart = valueStart;
          this.timestampEnd = pos;
          this.timestampMs = varintToMs(buffer, valueStart, pos);
        }
      } else if (field <= DATA) {
        if (wireType !== LENGTH_DELIMITED) return false;
        pos = readVarint(buffer, pos, end);
        if (pos === MALFORMED || wire.value > end - pos) return false;
        const valueStart = pos;
        pos += wire.value;
        if (field === SUBJECT) {
          this.subjectStart = valueStart;
          this.subjectEnd = pos;
        } else if (field === REPLY) {
          this.replyStart = valueStart;
          this.replyEnd = pos;
        } else {
          this.dataStart = valueStart;
          this.dataEnd = pos;
        }
      } else {
        wire.fieldNumber = field;
        wire.wireType = wireType;
        pos = skipValue(buffer, pos, end);
        if (pos === MALFORMED) return false;
      }
    }
    return true;
  }

  /** Limit of the bytes that `encode` writes with so many bytes of data. */
  maxEncodedSize(dataBytes: number): number {
    const texts = this.subjectEnd - this.subjectStart + (this.replyEnd - this.replyStart) + dataBytes;
    return texts + 5 * (1 + MAX_VARINT_BYTES);
  }

  /**
   * Writes it with the stored fields only and with other data, as the Go server would.
   *
   * @param source what it was decoded from
   * @param data has the data at `[dataStart, dataEnd)`
   * @returns the position behind it
   */
  encode(
    target: Buffer,
    start: number,
    source: Buffer,
    data: Buffer,
    dataStart: number,
    dataEnd: number,
  ): number {
    let pos = start;
    if (this.sequence !== 0) {
      target[pos++] = (SEQUENCE << 3) | VARINT;
      pos = writeVarint(target, pos, this.sequence);
    }
    pos = writeBytes(target, pos, SUBJECT, source, this.subjectStart, this.subjectEnd);
    pos = writeBytes(target, pos, REPLY, source, this.replyStart, this.replyEnd);
    pos = writeBytes(target, pos, DATA, data, dataStart, dataEnd);
    if (this.timestampEnd > this.timestampStart) {
      target[pos++] = (TIMESTAMP << 3) | VARINT;
      pos = copyBytes(target, pos, source, this.timestampStart, this.timestampEnd);
    }
    return pos;
  }
}

/** A field of bytes, left out if they are none. @returns the position behind it */
function writeBytes(
  target: Buffer,
  start: number,
  field: number,
  source: Buffer,
  sourceStart: number,
  sourceEnd: number,
): number {
  if (sourceEnd === sourceStart) return start;
  target[start] = (field << 3) | LENGTH_DELIMITED;
  const pos = writeVarint(target, start + 1, sourceEnd - sourceStart);
  return copyBytes(target, pos, source, sourceStart, sourceEnd);
}

/** Nanoseconds as a varint, in whole milliseconds: without a BigInt, and exact. */
function varintToMs(buffer: Buffer, start: number, end: number): number {
  if (end - start === MAX_VARINT_BYTES) return Number(varintToBigInt(buffer, start, end) / BigInt(NS_PER_MS));
  let low = 0;
  let unit = 1;
  let pos = start;
  for (const lowEnd = Math.min(end, start + LOW_BYTES); pos < lowEnd; pos++) {
    low += (buffer[pos] & 0x7f) * unit;
    unit *= 0x80;
  }
  let high = 0;
  unit = 1;
  for (; pos < end; pos++) {
    high += (buffer[pos] & 0x7f) * unit;
    unit *= 0x80;
  }
  // high * LOW_UNIT / NS_PER_MS, with the remainder of LOW_UNIT carried into the low part.
  return (
    high * Math.floor(LOW_UNIT / NS_PER_MS) + Math.floor((high * (LOW_UNIT % NS_PER_MS) + low) / NS_PER_MS)
  );
}
