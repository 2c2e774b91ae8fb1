import {
  LENGTH_DELIMITED,
  MALFORMED,
  readTag,
  readVarint,
  skipValue,
  VARINT,
  wire,
} from '../../protocol/wire.js';

/** Names of clients, durables and inboxes are much shorter. */
const MAX_TEXT_BYTES = 64 * 1024;
const MAX_INT32 = 2 ** 31 - 1;

/** Bytes that are not the message of the Go server that they should be. */
export class GoWireError extends Error {
  override name = 'GoWireError';
}

/**
 * Reads the fields of a protobuf message one after the other, for the Go server's own records. Unknown fields are skipped; anything
 * that does not fit is an error.
 */
export class FieldReader {
  /** The number of the field that `next` has found. */
  fieldNumber = 0;
  readonly #message: string;
  #buffer: Buffer = Buffer.alloc(0);
  #start = 0;
  #pos = 0;
  #end = 0;
  #wireType = 0;
  /** Where the present field's value begins. */
  #value = 0;

  /** @param message its name, for errors */
  constructor(message: string) {
    this.#message = message;
  }

  /** Begins with another message, at `buffer[start, end)`. */
  reset(buffer: Buffer, start: number, end: number): this {
    this.#buffer = buffer;
    this.#start = start;
    this.#pos = start;
    this.#end = end;
    return this;
  }

  /**
   * @returns false at the end of the message
   * @throws GoWireError if the bytes are not protobuf
   */
  next(): boolean {
    if (this.#pos >= this.#end) return false;
    this.#value = readTag(this.#buffer, this.#pos, this.#end);
    if (this.#value === MALFORMED) this.#fail('there is no valid tag');
    this.fieldNumber = wire.fieldNumber;
    this.#wireType = wire.wireType;
    this.#pos = skipValue(this.#buffer, this.#value, this.#end);
    if (this.#pos === MALFORMED) this.#fail(`field ${this.fieldNumber} is cut off`);
    return true;
  }

  /** A whole number that a double has exactly. */
  count(): number {
    const value = this.#varint();
    if (value > Number.MAX_SAFE_INTEGER) this.#fail(`field ${this.fieldNumber} is above 2^53`);
    return value;
  }

  /** An int32 that is not negative. */
  int32(): number {
    const value = this.#varint();
    if (value > MAX_INT32) this.#fail(`field ${this.fieldNumber} is negative or above 2^31`);
    return value;
  }

  flag(): boolean {
    return this.#varint() !== 0;
  }

  /** Bytes that are not UTF-8 become U+FFFD. */
  text(): string {
    const start = this.#bytesStart();
    return this.#buffer.toString('utf8', start, this.#pos);
  }

  /** A copy. */
  bytes(): Uint8Array {
    const start = this.#bytesStart();
    return new Uint8Array(this.#buffer.subarray(start, this.#pos));
  }

  #varint(): number {
    if (this.#wireType !== VARINT) this.#fail(`field ${this.fieldNumber} is not a number`);
    readVarint(this.#buffer, this.#value, this.#end);
    return wire.value;
  }

  #bytesStart(): number {
    if (this.#wireType !== LENGTH_DELIMITED) this.#fail(`field ${this.fieldNumber} is not a text`);
    const start = readVarint(this.#buffer, this.#value, this.#end);
    if (wire.value > MAX_TEXT_BYTES) this.#fail(`field ${this.fieldNumber} has ${wire.value} bytes`);
    return start;
  }

  #fail(what: string): never {
    const size = this.#end - this.#start;
    throw new GoWireError(`${this.#message} of ${size} bytes cannot be decoded: ${what}`);
  }
}
