import { copyBytes } from '../util/copy-bytes.js';

const INITIAL_BYTES = 64 * 1024;
const MAX_SIZE_DIGITS = 10;

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const ZERO = 0x30;

/**
 * Protocol lines on their way to the server. The broker fills the buffer, and `Link.send` writes it at once. A message is `pub` (or
 * `pubTo`), then exactly `payloadLength` bytes by `bytes` or by hand, then `crlf`.
 */
export class OutBuffer {
  /** The memory. It is replaced when it grows: read this field again after `reserve`. */
  buf: Buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  /** How many bytes are filled. Before writing into `buf` by hand, call `reserve`; afterwards add to `length`. */
  length = 0;
  /** Bytes that `share` has put in without copying them. */
  sharedBytes = 0;

  /** Bytes to be sent. */
  get byteLength(): number {
    return this.length + this.sharedBytes;
  }

  /** Makes room for `byteCount` more bytes behind `length`. */
  reserve(byteCount: number): void {
    if (this.length + byteCount > this.buf.length) this.#grow(this.length + byteCount);
  }

  /** Writes `PUB subject payloadLength`, with the subject from another buffer. */
  pub(subject: Buffer, subjectStart: number, subjectEnd: number, payloadLength: number): void {
    this.reserve(subjectEnd - subjectStart + payloadLength + MAX_SIZE_DIGITS + 9);
    const buf = this.buf;
    const at = this.length;
    buf[at] = 0x50;
    buf[at + 1] = 0x55;
    buf[at + 2] = 0x42;
    buf[at + 3] = SPACE;
    this.length = copyBytes(buf, at + 4, subject, subjectStart, subjectEnd);
    this.buf[this.length++] = SPACE;
    this.#sizeLine(payloadLength);
  }

  /**
   * Writes the same with a `prefix` from `pubPrefix`: this is faster, for subjects that are used again and again.
   *
   * @param roomBytes so much of the payload will be written into this buffer
   */
  pubTo(prefix: Buffer, payloadLength: number, roomBytes = payloadLength): void {
    this.reserve(prefix.length + roomBytes + MAX_SIZE_DIGITS + 4);
    this.buf.set(prefix, this.length);
    this.length += prefix.length;
    this.#sizeLine(payloadLength);
  }

  bytes(src: Buffer, start: number, end: number): void {
    this.reserve(end - start);
    this.length = copyBytes(this.buf, this.length, src, start, end);
  }

  /**
   * As `bytes`, for many of them: a buffer of a link may send them from where they lie. They must stay as they are until it is sent,
   * which has to be done at once; afterwards `isLent` says how long.
   */
  share(src: Buffer, start: number, end: number): void {
    this.bytes(src, start, end);
  }

  /** Writes text that is ASCII. */
  ascii(text: string): void {
    this.reserve(text.length);
    this.length += this.buf.write(text, this.length, 'latin1');
  }

  crlf(): void {
    this.reserve(2);
    const at = this.length;
    this.buf[at] = CR;
    this.buf[at + 1] = LF;
    this.length = at + 2;
  }

  /** Empties the buffer for its next use. */
  reset(): void {
    this.length = 0;
  }

  #sizeLine(size: number): void {
    const buf = this.buf;
    let digits = 1;
    for (let limit = 10; size >= limit; limit *= 10) digits++;
    let rest = size;
    let at = this.length + digits;
    this.length = at + 2;
    buf[at] = CR;
    buf[at + 1] = LF;
    while (digits-- > 0) {
      const tenth = Math.floor(rest / 10);
      buf[--at] = ZERO + rest - tenth * 10;
      rest = tenth;
    }
  }

  #grow(byteCount: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(byteCount, this.buf.length * 2));
    this.buf.copy(larger, 0, 0, this.length);
    this.buf = larger;
  }
}

/** @returns `PUB subject `, for `OutBuffer.pubTo` */
export function pubPrefix(subject: string): Buffer {
  return Buffer.from(`PUB ${subject} `);
}
