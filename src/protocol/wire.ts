/**
 * The protobuf wire format by hand, for the hot path. It reads as the Go server's decoder (gogo-protobuf) does: unknown fields are
 * skipped, a known field with another wire type is malformed, and bits above 64 of a varint are ignored.
 *
 * A reader returns the position behind the value, or `MALFORMED`, and puts the value into `wire`. It makes no objects.
 */

/** Returned instead of a position: the bytes are not the wire format. */
export const MALFORMED = -1;

export const VARINT = 0;
const BIT64 = 1;
export const LENGTH_DELIMITED = 2;
const START_GROUP = 3;
const END_GROUP = 4;
const BIT32 = 5;

/** The last value that was read. All readers share it, since nothing runs between a read and the use of its value. */
export const wire = {
  /** Unsigned. Above 2^53 it is rounded. */
  value: 0,
  /** The field number of the last tag. */
  fieldNumber: 0,
  /** The wire type of the last tag. */
  wireType: 0,
};

const MAX_VARINT_BYTES = 10;

/** Reads a varint of up to 64 bits into `wire.value`. */
export function readVarint(buffer: Uint8Array, start: number, end: number): number {
  let pos = start;
  let value = 0;
  let unit = 1;
  for (let i = 0; i < MAX_VARINT_BYTES; i++) {
    if (pos >= end) return MALFORMED;
    const byte = buffer[pos++];
    // The tenth byte has room for bit 63 only.
    value += (i === MAX_VARINT_BYTES - 1 ? byte & 1 : byte & 0x7f) * unit;
    if (byte < 0x80) {
      wire.value = value;
      return pos;
    }
    unit *= 0x80;
  }
  return MALFORMED;
}

/** Reads a varint as a signed 64-bit integer. The bytes must be well-formed: check them with `readVarint`. */
export function varintToBigInt(buffer: Uint8Array, start: number, end: number): bigint {
  let value = 0n;
  let shift = 0n;
  for (let pos = start; pos < end; pos++) {
    value |= BigInt(buffer[pos] & 0x7f) << shift;
    if (buffer[pos] < 0x80) break;
    shift += 7n;
  }
  return BigInt.asIntN(64, value);
}

/** Reads a tag into `wire.fieldNumber` and `wire.wireType`. */
export function readTag(buffer: Uint8Array, start: number, end: number): number {
  const pos = readRawTag(buffer, start, end);
  if (pos === MALFORMED || wire.fieldNumber <= 0 || wire.wireType === END_GROUP) return MALFORMED;
  return pos;
}

function readRawTag(buffer: Uint8Array, start: number, end: number): number {
  const pos = readVarint(buffer, start, end);
  if (pos === MALFORMED) return MALFORMED;
  // The Go decoder cuts the field number to 32 bits: bits 3 to 34 of the tag, in its first five bytes.
  let low = 0;
  for (let i = 0; i < 4 && start + i < pos; i++) low |= (buffer[start + i] & 0x7f) << (7 * i);
  const high = pos - start > 4 ? buffer[start + 4] & 0x7f : 0;
  wire.fieldNumber = (low >>> 3) | (high << 25);
  wire.wireType = low & 7;
  return pos;
}

/** Skips the value of a field whose tag was just read. Groups may nest to any depth; they use no stack. */
export function skipValue(buffer: Uint8Array, start: number, end: number): number {
  let pos = start;
  let depth = 0;
  for (;;) {
    switch (wire.wireType) {
      case VARINT:
        pos = readVarint(buffer, pos, end);
        break;
      case BIT64:
        pos += 8;
        break;
      case LENGTH_DELIMITED:
        pos = readVarint(buffer, pos, end);
        if (pos !== MALFORMED) pos += wire.value;
        break;
      case START_GROUP:
        depth++;
        break;
      case END_GROUP:
        depth--;
        break;
      case BIT32:
        pos += 4;
        break;
      default:
        return MALFORMED;
    }
    if (pos === MALFORMED || pos > end) return MALFORMED;
    if (depth === 0) return pos;
    // Inside a group any field number is allowed, even 0.
    pos = readRawTag(buffer, pos, end);
    if (pos === MALFORMED) return MALFORMED;
  }
}

/** The size of `value` as a varint, for values up to 2^53. */
export function varintSize(value: number): number {
  let size = 1;
  let rest = value;
  while (rest >= 0x80) {
    rest = Math.floor(rest / 0x80);
    size++;
  }
  return size;
}

/** Writes a whole number from 0 to 2^53 and returns the position behind it. */
export function writeVarint(target: Uint8Array, start: number, value: number): number {
  let pos = start;
  let rest = value;
  while (rest > 0x7fffffff) {
    target[pos++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  while (rest >= 0x80) {
    target[pos++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[pos++] = rest;
  return pos;
}
