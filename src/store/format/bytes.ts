// Writes and reads fields, for rare records. Messages have code of their own.

import { assert } from '../../util/assert.js';

/** A buffer that has grown beyond this is not kept for the next use. */
const MAX_KEPT_BYTES = 4 * 1024 * 1024;

/** Names up to this length are written character by character. Below 128. */
const MAX_SHORT_LENGTH = 96;

/** Writes little-endian fields into a buffer that grows. */
export class ByteWriter {
  buffer: Buffer;
  length = 0;

  readonly #firstBytes: number;

  constructor(bytes = 4096) {
    this.#firstBytes = bytes;
    this.buffer = Buffer.allocUnsafe(bytes);
  }

  /** Empties the buffer for its next use. */
  reset(): void {
    this.length = 0;
    if (this.buffer.length > MAX_KEPT_BYTES) this.buffer = Buffer.allocUnsafe(this.#firstBytes);
  }

  /** The written bytes, valid until the next `reset`. */
  written(): Buffer {
    return this.buffer.subarray(0, this.length);
  }

  u8(value: number): void {
    this.#room(1);
    this.buffer[this.length++] = value;
  }

  u32(value: number): void {
    this.#room(4);
    this.length = this.buffer.writeUInt32LE(value >>> 0, this.length);
  }

  u64(value: bigint): void {
    this.#room(8);
    this.length = this.buffer.writeBigUInt64LE(value, this.length);
  }

  f64(value: number): void {
    this.#room(8);
    this.length = this.buffer.writeDoubleLE(value, this.length);
  }

  /** Writes a whole number from 0 to 2^53. */
  varint(value: number): void {
    // A negative one would make the record, and with it the store, unreadable.
    assert(value >= 0, 'a varint is not negative');
    this.#room(8);
    let rest = value;
    while (rest > 0x7f) {
      this.buffer[this.length++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.buffer[this.length++] = rest;
  }

  bytes(value: Uint8Array): void {
    this.varint(value.length);
    this.#room(value.length);
    this.buffer.set(value, this.length);
    this.length += value.length;
  }

  string(value: string): void {
    if (value.length <= MAX_SHORT_LENGTH && this.#ascii(value)) return;
    const size = Buffer.byteLength(value);
    this.varint(size);
    this.#room(size);
    this.length += this.buffer.write(value, this.length);
  }

  /**
   * Writes a short string of ASCII, as nearly all names are: for these, calls into the runtime take ten times as long.
   * @returns false if it is not ASCII: then nothing has been written
   */
  #ascii(value: string): boolean {
    const { length } = value;
    this.#room(1 + length);
    const { buffer } = this;
    let at = this.length;
    // One byte: it is below 128.
    buffer[at++] = length;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) return false;
      buffer[at++] = code;
    }
    this.length = at;
    return true;
  }

  #room(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.buffer.length * 2));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }
}

/** Reads the fields that `ByteWriter` writes. It throws a `RangeError` beyond the end. */
export class ByteReader {
  readonly buffer: Buffer;
  readonly end: number;
  pos: number;

  constructor(buffer: Buffer, start: number, end: number) {
    this.buffer = buffer;
    this.pos = start;
    this.end = end;
  }

  get done(): boolean {
    return this.pos >= this.end;
  }

  u8(): number {
    return this.buffer[this.#take(1)];
  }

  u32(): number {
    return this.buffer.readUInt32LE(this.#take(4));
  }

  u64(): bigint {
    return this.buffer.readBigUInt64LE(this.#take(8));
  }

  f64(): number {
    return this.buffer.readDoubleLE(this.#take(8));
  }

  varint(): number {
    let value = 0;
    let unit = 1;
    for (;;) {
      const byte = this.buffer[this.#take(1)];
      value += (byte & 127) * unit;
      if (byte < 128) return value;
      unit *= 128;
      if (unit > 2 ** 56) throw new RangeError('a number of more than 8 bytes');
    }
  }

  bytes(): Buffer {
    const length = this.varint();
    const start = this.#take(length);
    return Buffer.from(this.buffer.subarray(start, start + length));
  }

  string(): string {
    const length = this.varint();
    const start = this.#take(length);
    return this.buffer.toString('utf8', start, start + length);
  }

  #take(bytes: number): number {
    const start = this.pos;
    if (bytes > this.end - start) throw new RangeError('the record ends in the middle of a field');
    this.pos += bytes;
    return start;
  }
}
