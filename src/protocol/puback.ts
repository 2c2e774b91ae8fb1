import { copyBytes } from '../util/copy-bytes.js';
import { varintSize, writeVarint } from './wire.js';

const GUID_TAG = 0x0a;
const ERROR_TAG = 0x12;

/** Bytes that `encodePubAckOk` writes. */
export function pubAckOkSize(guidStart: number, guidEnd: number): number {
  const length = guidEnd - guidStart;
  return length === 0 ? 0 : 1 + varintSize(length) + length;
}

/** Writes the PubAck without error for the guid in `source[guidStart, guidEnd)` and returns the position behind it. */
export function encodePubAckOk(
  target: Buffer,
  start: number,
  source: Buffer,
  guidStart: number,
  guidEnd: number,
): number {
  const length = guidEnd - guidStart;
  if (length === 0) return start;
  target[start] = GUID_TAG;
  const pos = writeVarint(target, start + 1, length);
  return copyBytes(target, pos, source, guidStart, guidEnd);
}

/** Limit of the bytes that `encodePubAckError` writes. */
export function maxPubAckErrorSize(guidStart: number, guidEnd: number, error: string): number {
  return pubAckOkSize(guidStart, guidEnd) + 1 + 5 + error.length * 3;
}

/** Writes the PubAck with an error and returns the position behind it. */
export function encodePubAckError(
  target: Buffer,
  start: number,
  source: Buffer,
  guidStart: number,
  guidEnd: number,
  error: string,
): number {
  let pos = encodePubAckOk(target, start, source, guidStart, guidEnd);
  if (error === '') return pos;
  target[pos++] = ERROR_TAG;
  pos = writeVarint(target, pos, Buffer.byteLength(error));
  return pos + target.write(error, pos);
}
