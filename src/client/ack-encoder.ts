import { varintSize, writeVarint } from '../protocol/wire.js';

const SUBJECT_TAG = 0x0a;
const SEQUENCE_TAG = 0x10;
const MAX_SEQUENCE_BYTES = 8;

/** Encodes the Acks of one channel. */
export class AckEncoder {
  /** All but the sequence. */
  readonly #prefix: Buffer;

  constructor(channel: string) {
    const name = Buffer.from(channel);
    const start = 1 + varintSize(name.length);
    this.#prefix = Buffer.alloc(start + name.length + 1);
    this.#prefix[0] = SUBJECT_TAG;
    writeVarint(this.#prefix, 1, name.length);
    this.#prefix.set(name, start);
    this.#prefix[this.#prefix.length - 1] = SEQUENCE_TAG;
  }

  encode(sequence: number): Buffer {
    const prefix = this.#prefix;
    const bytes = Buffer.allocUnsafe(prefix.length + MAX_SEQUENCE_BYTES);
    bytes.set(prefix, 0);
    return bytes.subarray(0, writeVarint(bytes, prefix.length, sequence));
  }
}
