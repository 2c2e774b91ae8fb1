import { crc32 } from '../util/crc.js';

/** The content of a payload: the publisher, and the number of its message. One object is reused. */
export interface PayloadView {
  publisher: number;
  index: number;
}

export function newPayloadView(): PayloadView {
  return { publisher: 0, index: 0 };
}

/** Size of each payload. */
export const PAYLOAD_BYTES = 128;
/** A publisher (4 bits) and an index (28 bits) make one code of 32 bits. */
export const MAX_PUBLISHER = 15;
export const MAX_INDEX = 2 ** 28 - 1;
/** Length of the id of a drill. */
export const RUN_LENGTH = 10;

const PUBLISHER_AT = RUN_LENGTH;
const INDEX_AT = PUBLISHER_AT + 1;
const FILLER_AT = INDEX_AT + 4;
const CRC_AT = PAYLOAD_BYTES - 4;

/** Writes the payload of a message at `target[at]`. @param run `RUN_LENGTH` ASCII characters */
export function writePayload(
  target: Buffer,
  at: number,
  run: string,
  publisher: number,
  index: number,
): void {
  target.write(run, at, 'latin1');
  target[at + PUBLISHER_AT] = publisher;
  target.writeUInt32BE(index, at + INDEX_AT);
  // The filler differs between neighbours, so that bytes of another message are noticed.
  for (let i = FILLER_AT; i < CRC_AT; i++) target[at + i] = index + i;
  target.writeUInt32BE(crc32(target, at, at + CRC_AT), at + CRC_AT);
}

/** @returns false if `buffer[start, end)` is not, byte for byte, the payload of a message of this drill */
export function readPayload(
  buffer: Buffer,
  start: number,
  end: number,
  run: string,
  view: PayloadView,
): boolean {
  if (end - start !== PAYLOAD_BYTES) return false;
  if (buffer.readUInt32BE(start + CRC_AT) !== crc32(buffer, start, start + CRC_AT)) return false;
  for (let i = 0; i < RUN_LENGTH; i++) if (buffer[start + i] !== run.charCodeAt(i)) return false;
  view.publisher = buffer[start + PUBLISHER_AT];
  view.index = buffer.readUInt32BE(start + INDEX_AT);
  return view.publisher > 0 && view.publisher <= MAX_PUBLISHER && view.index <= MAX_INDEX;
}

/** A number that identifies a message of a drill. It is never 0. */
export function codeOf({ publisher, index }: PayloadView): number {
  return (publisher << 28) | index;
}
