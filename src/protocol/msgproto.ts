import { copyBytes } from '../util/copy-bytes.js';
import type { PubMsgView } from './pubmsg.js';
import {
  LENGTH_DELIMITED,
  MALFORMED,
  readTag,
  readVarint,
  skipValue,
  VARINT,
  varintSize,
  varintToBigInt,
  wire,
  writeVarint,
} from './wire.js';

const SEQUENCE_TAG = 0x08;
const SUBJECT_TAG = 0x12;
const REPLY_TAG = 0x1a;
const DATA_TAG = 0x22;
const TIMESTAMP_TAG = 0x28;
const REDELIVERED_TAG = 0x30;
const REDELIVERY_COUNT_TAG = 0x38;

const SEQUENCE = 1;
const TIMESTAMP = 5;

/** Limit of the bytes that `encodeTimestamp` writes. */
export const MAX_TIMESTAMP_SIZE = 10;

// The sequence has a tag and up to 8 bytes for 2^53. Subject, reply and data have a tag and up to 5 bytes of length each.
const MAX_OVERHEAD = 1 + 8 + 3 * (1 + 5) + 1 + MAX_TIMESTAMP_SIZE;

/** Limit of the bytes that `encodeMsgProto` writes. */
export function maxMsgProtoSize(view: PubMsgView): number {
  return (
    view.subjectEnd -
    view.subjectStart +
    (view.replyEnd - view.replyStart) +
    (view.dataEnd - view.dataStart) +
    MAX_OVERHEAD
  );
}

/**
 * Writes a timestamp as the varint that `encodeMsgProto` takes, once per batch.
 *
 * @param ns nanoseconds since 1970
 * @returns the position behind it
 */
export function encodeTimestamp(target: Buffer, pos: number, ns: bigint): number {
  let rest = BigInt.asUintN(64, ns);
  while (rest > 0x7fffffffn) {
    target[pos++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  return writeVarint(target, pos, Number(rest));
}

/**
 * Writes the MsgProto of a published message, with the same bytes as the Go server: in the order of the fields, without those that
 * are zero or empty.
 *
 * @param timestamp begins with `timestampLength` bytes from `encodeTimestamp`; 0 bytes for no timestamp
 * @returns the position behind it
 */
export function encodeMsgProto(
  target: Buffer,
  start: number,
  sequence: number,
  timestamp: Buffer,
  timestampLength: number,
  view: PubMsgView,
): number {
  const source = view.buffer;
  const { subjectStart, subjectEnd, replyStart, replyEnd, dataStart, dataEnd } = view;
  const subjectLength = subjectEnd - subjectStart;
  const replyLength = replyEnd - replyStart;
  const dataLength = dataEnd - dataStart;
  let pos = start;

  if (sequence !== 0) {
    target[pos++] = SEQUENCE_TAG;
    pos = writeVarint(target, pos, sequence);
  }
  if (subjectLength !== 0) {
    target[pos++] = SUBJECT_TAG;
    pos = writeVarint(target, pos, subjectLength);
  }

  // Clients write subject, reply and data one behind the other. Then a single copy is enough, with new tags put in. Only the shortest
  // form of tag and length fits between two neighbours, so the size of the gap shows that it has no other field.
  const replyFollows = replyLength === 0 || replyStart - subjectEnd === 1 + varintSize(replyLength);
  const beforeData = replyLength === 0 ? subjectEnd : replyEnd;
  if (
    subjectLength !== 0 &&
    dataLength !== 0 &&
    replyFollows &&
    dataStart - beforeData === 1 + varintSize(dataLength)
  ) {
    const shift = pos - subjectStart;
    pos = copyBytes(target, pos, source, subjectStart, dataEnd);
    if (replyLength !== 0) target[subjectEnd + shift] = REPLY_TAG;
    target[beforeData + shift] = DATA_TAG;
  } else {
    pos = copyBytes(target, pos, source, subjectStart, subjectEnd);
    if (replyLength !== 0) {
      target[pos++] = REPLY_TAG;
      pos = writeVarint(target, pos, replyLength);
      pos = copyBytes(target, pos, source, replyStart, replyEnd);
    }
    if (dataLength !== 0) {
      target[pos++] = DATA_TAG;
      pos = writeVarint(target, pos, dataLength);
      pos = copyBytes(target, pos, source, dataStart, dataEnd);
    }
  }

  if (timestampLength !== 0) {
    target[pos++] = TIMESTAMP_TAG;
    for (let i = 0; i < timestampLength; i++) target[pos++] = timestamp[i];
  }
  return pos;
}

/** Bytes that `appendRedelivered` writes. */
export function redeliveredSize(redeliveryCount: number): number {
  return redeliveryCount === 0 ? 2 : 3 + varintSize(redeliveryCount);
}

/**
 * Writes the fields that mark a redelivery. Behind an encoded MsgProto they become a part of it.
 *
 * @param redeliveryCount u32
 * @returns the position behind them
 */
export function appendRedelivered(target: Buffer, start: number, redeliveryCount: number): number {
  let pos = start;
  target[pos++] = REDELIVERED_TAG;
  target[pos++] = 1;
  if (redeliveryCount === 0) return pos;
  target[pos++] = REDELIVERY_COUNT_TAG;
  return writeVarint(target, pos, redeliveryCount);
}

/**
 * @returns the sequence; 0 if there is none; `MALFORMED` (-1) if `buffer[start, end)` is not a MsgProto or the sequence
 *   is above 2^53 - 1
 */
export function readMsgProtoSequence(buffer: Buffer, start: number, end: number): number {
  let sequence = 0;
  let pos = start;
  while (pos < end) {
    pos = readTag(buffer, pos, end);
    if (pos === MALFORMED) return MALFORMED;
    if (wire.fieldNumber === SEQUENCE) {
      if (wire.wireType !== VARINT) return MALFORMED;
      pos = readVarint(buffer, pos, end);
      if (pos === MALFORMED || wire.value > Number.MAX_SAFE_INTEGER) return MALFORMED;
      sequence = wire.value;
      // This broker writes the sequence first, so the other fields need not be read.
      if (buffer[pos] === SUBJECT_TAG) return sequence;
    } else {
      pos = skipValue(buffer, pos, end);
      if (pos === MALFORMED) return MALFORMED;
    }
  }
  return sequence;
}

/** @returns nanoseconds since 1970; 0 if there is no timestamp or `buffer[start, end)` is not a MsgProto */
export function readMsgProtoTimestampNs(buffer: Buffer, start: number, end: number): bigint {
  let timestampNs = 0n;
  let pos = start;
  while (pos < end) {
    pos = readTag(buffer, pos, end);
    if (pos === MALFORMED) return 0n;
    const valueStart = pos;
    const isTimestamp = wire.fieldNumber === TIMESTAMP;
    if (isTimestamp && wire.wireType !== VARINT) return 0n;
    pos = skipValue(buffer, pos, end);
    if (pos === MALFORMED) return 0n;
    if (isTimestamp) timestampNs = varintToBigInt(buffer, valueStart, pos);
  }
  return timestampNs;
}

/** Where the fields of an encoded MsgProto lie. */
export interface MsgProtoView {
  sequence: number;
  subjectStart: number;
  subjectEnd: number;
  replyStart: number;
  replyEnd: number;
  dataStart: number;
  dataEnd: number;
}

export function newMsgProtoView(): MsgProtoView {
  return {
    ...{ sequence: 0, subjectStart: 0, subjectEnd: 0 },
    ...{ replyStart: 0, replyEnd: 0, dataStart: 0, dataEnd: 0 },
  };
}

const SUBJECT = 2;
const REPLY = 3;
const DATA = 4;

/** @returns false if `buffer[start, end)` is not a MsgProto */
export function decodeMsgProtoView(buffer: Buffer, start: number, end: number, view: MsgProtoView): boolean {
  view.sequence = 0;
  view.subjectStart = view.subjectEnd = view.replyStart = view.replyEnd = start;
  view.dataStart = view.dataEnd = start;
  let pos = start;
  while (pos < end) {
    pos = readTag(buffer, pos, end);
    if (pos === MALFORMED) return false;
    const { fieldNumber, wireType } = wire;
    if (fieldNumber === SEQUENCE) {
      if (wireType !== VARINT) return false;
      pos = readVarint(buffer, pos, end);
      if (pos === MALFORMED) return false;
      view.sequence = Math.min(wire.value, Number.MAX_SAFE_INTEGER);
    } else if (fieldNumber === SUBJECT || fieldNumber === REPLY || fieldNumber === DATA) {
      if (wireType !== LENGTH_DELIMITED) return false;
      pos = readVarint(buffer, pos, end);
      if (pos === MALFORMED || wire.value > end - pos) return false;
      if (fieldNumber === SUBJECT) {
        view.subjectStart = pos;
        view.subjectEnd = pos + wire.value;
      } else if (fieldNumber === REPLY) {
        view.replyStart = pos;
        view.replyEnd = pos + wire.value;
      } else {
        view.dataStart = pos;
        view.dataEnd = pos + wire.value;
      }
      pos += wire.value;
    } else {
      pos = skipValue(buffer, pos, end);
      if (pos === MALFORMED) return false;
    }
  }
  return true;
}
