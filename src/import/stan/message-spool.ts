import { once } from 'node:events';
import { createReadStream, createWriteStream, type WriteStream } from 'node:fs';
import type { MessageSink } from '../types/source.js';
import { DeliveredBlock } from './delivered-block.js';

/** Length of the message, then its sequence and its timestamp in milliseconds, before each message. */
const HEAD_BYTES = 4 + 8 + 8;

/** Messages of one channel that wait in a file. */
export class MessageSpool {
  readonly #path: string;
  readonly #out: WriteStream;
  #error: Error | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#out = createWriteStream(path, { flags: 'wx', mode: 0o600, highWaterMark: 256 * 1024 });
    this.#out.on('error', (error) => {
      this.#error = error;
    });
  }

  /** @returns a promise if the disk is slower than the messages come */
  add(encoded: Uint8Array, sequence: number, timestampNs: bigint): Promise<void> | undefined {
    const record = Buffer.allocUnsafe(HEAD_BYTES + encoded.length);
    record.writeUInt32LE(encoded.length, 0);
    record.writeDoubleLE(sequence, 4);
    record.writeBigInt64LE(timestampNs, 12);
    record.set(encoded, HEAD_BYTES);
    return this.#out.write(record) ? undefined : this.#drained();
  }

  /** No message follows. */
  async end(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#out.once('error', () => resolve());
      this.#out.end(resolve);
    });
    if (this.#error !== undefined) throw this.#error;
  }

  async #drained(): Promise<void> {
    // Once it has failed, no other event comes.
    if (this.#error !== undefined) throw this.#error;
    await once(this.#out, 'drain');
  }

  async read(sink: MessageSink): Promise<void> {
    const block = new DeliveredBlock(sink);
    let rest: Buffer = Buffer.alloc(0);
    for await (const piece of createReadStream(this.#path, { highWaterMark: 1024 * 1024 })) {
      const bytes = rest.length === 0 ? (piece as Buffer) : Buffer.concat([rest, piece as Buffer]);
      let at = 0;
      while (bytes.length - at >= HEAD_BYTES) {
        const end = at + HEAD_BYTES + bytes.readUInt32LE(at);
        if (end > bytes.length) break;
        const encoded = bytes.subarray(at + HEAD_BYTES, end);
        const full = block.add(encoded, bytes.readDoubleLE(at + 4), bytes.readBigInt64LE(at + 12));
        if (full !== undefined) await full;
        at = end;
      }
      rest = bytes.subarray(at);
    }
    await block.drain();
  }

  destroy(): void {
    this.#out.destroy();
  }
}
