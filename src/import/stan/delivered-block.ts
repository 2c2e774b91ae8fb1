import { MALFORMED } from '../../protocol/wire.js';
import type { MessageSink } from '../types/source.js';
import { SourceError } from '../types/source-error.js';
import { copyStored } from './stored-bytes.js';

const BLOCK_BYTES = 1024 * 1024;

/** Memory for delivered messages that a sink is given between two drains. */
export class DeliveredBlock {
  #buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #used = 0;
  readonly #sink: MessageSink;

  constructor(sink: MessageSink) {
    this.#sink = sink;
  }

  /** @returns a promise if the sink has to be drained */
  add(encoded: Uint8Array, sequence: number, timestampNs: bigint): Promise<void> | undefined {
    if (this.#used + encoded.length > this.#buffer.length)
      return this.#addToEmpty(encoded, sequence, timestampNs);
    this.#copy(encoded, sequence, timestampNs);
    return this.#sink.isFull ? this.drain() : undefined;
  }

  async drain(): Promise<void> {
    await this.#sink.drain();
    this.#used = 0;
    if (this.#buffer.length > BLOCK_BYTES) this.#buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  }

  async #addToEmpty(encoded: Uint8Array, sequence: number, timestampNs: bigint): Promise<void> {
    await this.drain();
    if (encoded.length > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(encoded.length);
    this.#copy(encoded, sequence, timestampNs);
    if (this.#sink.isFull) await this.drain();
  }

  #copy(encoded: Uint8Array, sequence: number, timestampNs: bigint): void {
    const start = this.#used;
    const end = copyStored(encoded, this.#buffer, start);
    if (end === MALFORMED)
      throw new SourceError('damaged', `message ${sequence} is not one of the protocol's`);
    this.#used = end;
    this.#sink.message(this.#buffer, start, end, sequence, Number(timestampNs / 1_000_000n));
  }
}
