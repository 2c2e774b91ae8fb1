import { encodeTimestamp, MAX_TIMESTAMP_SIZE } from '../../protocol/msgproto.js';
import { writeVarint } from '../../protocol/wire.js';
import type { MessageSink } from './source.js';

/** A message to be encoded. */
export interface ParsedMessage {
  sequence: number;
  subject: Buffer;
  reply: Buffer;
  data: Buffer;
  timestampNs: bigint;
}

const BLOCK_BYTES = 1024 * 1024;
const SEQUENCE_TAG = 0x08;
const SUBJECT_TAG = 0x12;
const REPLY_TAG = 0x1a;
const DATA_TAG = 0x22;
const TIMESTAMP_TAG = 0x28;
/** Tags and lengths of all fields. */
const MAX_OVERHEAD = 1 + 8 + 3 * (1 + 5) + 1 + MAX_TIMESTAMP_SIZE;

/** Memory for what a sink is given between two drains, of sources whose messages are not encoded yet. */
export class MessageBlock {
  #buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #used = 0;
  readonly #sink: MessageSink;

  constructor(sink: MessageSink) {
    this.#sink = sink;
  }

  /** Encodes a message for the sink. @returns a promise if the sink has to be drained first, or next */
  add(message: ParsedMessage): Promise<void> | undefined {
    const { subject, reply, data } = message;
    const bytes = MAX_OVERHEAD + subject.length + reply.length + data.length;
    if (this.#used + bytes > this.#buffer.length) return this.#addToEmpty(message, bytes);
    this.#encode(message);
    return this.#sink.isFull ? this.drain() : undefined;
  }

  /** Everything that was added has been taken. */
  async drain(): Promise<void> {
    await this.#sink.drain();
    this.#used = 0;
    if (this.#buffer.length > BLOCK_BYTES) this.#buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  }

  async #addToEmpty(message: ParsedMessage, bytes: number): Promise<void> {
    await this.drain();
    if (bytes > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(bytes);
    this.#encode(message);
    if (this.#sink.isFull) await this.drain();
  }

  #encode({ sequence, subject, reply, data, timestampNs }: ParsedMessage): void {
    const buffer = this.#buffer;
    const start = this.#used;
    buffer[start] = SEQUENCE_TAG;
    let pos = writeVarint(buffer, start + 1, sequence);
    pos = writeField(buffer, pos, SUBJECT_TAG, subject);
    pos = writeField(buffer, pos, REPLY_TAG, reply);
    pos = writeField(buffer, pos, DATA_TAG, data);
    if (timestampNs !== 0n) {
      buffer[pos] = TIMESTAMP_TAG;
      pos = encodeTimestamp(buffer, pos + 1, timestampNs);
    }
    this.#used = pos;
    this.#sink.message(buffer, start, pos, sequence, Number(timestampNs / 1_000_000n));
  }
}

/** The Go server leaves empty fields out. */
function writeField(buffer: Buffer, start: number, tag: number, bytes: Buffer): number {
  if (bytes.length === 0) return start;
  buffer[start] = tag;
  const pos = writeVarint(buffer, start + 1, bytes.length);
  bytes.copy(buffer, pos);
  return pos + bytes.length;
}
