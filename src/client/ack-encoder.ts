import { varintSize, writeVarint } from '../protocol/wire.js';

const SUBJECT_TAG = 0x0a;
const SEQUENCE_TAG = 0x10;
const MAX_SEQUENCE_BYTES = 8;
const SLAB_BYTES = 16 * 1024;

/** Encodes the Acks of one channel into slabs of memory, one behind the other. A slab is never used again, so nats.js may keep the bytes. */
export class AckEncoder {
  /** The encoded Ack without its sequence. */
  readonly #prefix: Buffer;
  #slab = new ArrayBuffer(0);
  #bytes = new Uint8Array(this.#slab);
  #used = 0;

  constructor(channel: string) {
    const name = Buffer.from(channel);
    const start = 1 + varintSize(name.length);
    this.#prefix = Buffer.alloc(start + name.length + 1);
    this.#prefix[0] = SUBJECT_TAG;
    writeVarint(this.#prefix, 1, name.length);
    this.#prefix.set(name, start);
    this.#prefix[this.#prefix.length - 1] = SEQUENCE_TAG;
  }

  encode(sequence: number): Uint8Array {
    const prefix = this.#prefix;
    const size = prefix.length + MAX_SEQUENCE_BYTES;
    if (this.#used + size > this.#slab.byteLength) {
      this.#slab = new ArrayBuffer(Math.max(SLAB_BYTES, size));
      this.#bytes = new Uint8Array(this.#slab);
      this.#used = 0;
    }
    const start = this.#used;
    this.#bytes.set(prefix, start);
    this.#used = writeVarint(this.#bytes, start + prefix.length, sequence);
    return new Uint8Array(this.#slab, start, this.#used - start);
  }
}
