import type { PubMsgView } from '../protocol/pubmsg.js';

/** Upper bound of the encoded MsgProto of a message. */
export function maxMsgProtoSize(view: PubMsgView): number {
  return (
    view.subjectEnd -
    view.subjectStart +
    (view.replyEnd - view.replyStart) +
    (view.dataEnd - view.dataStart) +
    48
  );
}

/** Varint of the timestamp into `target` from 0. @returns its length */
export function encodeTimestamp(target: Uint8Array, timestampNs: bigint): number {
  let length = 0;
  let rest = timestampNs;
  while (rest > 127n) {
    target[length++] = Number(rest & 127n) | 128;
    rest >>= 7n;
  }
  target[length++] = Number(rest);
  return length;
}

function varint(target: Buffer, at: number, value: number): number {
  let pos = at;
  let rest = value;
  while (rest > 127) {
    target[pos++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  target[pos++] = rest;
  return pos;
}

function bytes(target: Buffer, at: number, tag: number, from: Buffer, start: number, end: number): number {
  if (start === end) return at;
  let pos = at;
  target[pos++] = tag;
  pos = varint(target, pos, end - start);
  from.copy(target, pos, start, end);
  return pos + end - start;
}

/** @returns the position after it */
export function encodeMsgProto(
  target: Buffer,
  at: number,
  sequence: number,
  timestampVarint: Uint8Array,
  timestampLength: number,
  view: PubMsgView,
): number {
  let pos = at;
  target[pos++] = 8;
  pos = varint(target, pos, sequence);
  pos = bytes(target, pos, 18, view.buffer, view.subjectStart, view.subjectEnd);
  pos = bytes(target, pos, 26, view.buffer, view.replyStart, view.replyEnd);
  pos = bytes(target, pos, 34, view.buffer, view.dataStart, view.dataEnd);
  target[pos++] = 40;
  for (let i = 0; i < timestampLength; i++) target[pos++] = timestampVarint[i]!;
  return pos;
}

function readField(buffer: Buffer, start: number, end: number, field: number): bigint {
  let pos = start;
  while (pos < end) {
    const tag = buffer[pos++]!;
    let value = 0n;
    let shift = 0n;
    for (;;) {
      const byte = buffer[pos++]!;
      value |= BigInt(byte & 127) << shift;
      shift += 7n;
      if (byte < 128) break;
    }
    if (tag >> 3 === field) return value;
    if ((tag & 7) === 2) pos += Number(value);
  }
  return 0n;
}

export function readMsgProtoSequence(buffer: Buffer, start: number, end: number): number {
  return Number(readField(buffer, start, end, 1));
}

export function readMsgProtoTimestampNs(buffer: Buffer, start: number, end: number): bigint {
  return readField(buffer, start, end, 5);
}
