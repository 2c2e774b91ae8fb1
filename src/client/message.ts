import {
  LENGTH_DELIMITED,
  MALFORMED,
  readTag,
  readVarint,
  skipValue,
  VARINT,
  varintToBigInt,
  wire,
} from '../protocol/wire.js';
import { type Codec, textOf } from './codec.js';

/** A message of a channel. */
export interface Message {
  /** The channel. */
  readonly subject: string;
  /** Its number in the channel: from 1, without gaps. */
  readonly sequence: number;
  /** The time when it was stored, in milliseconds. */
  readonly timestamp: Date;
  /** The time when it was stored, in nanoseconds since 1970. */
  readonly timestampNanos: bigint;
  readonly data: Uint8Array;
  /** Whether it was delivered before, without an ack in time. */
  readonly redelivered: boolean;
  /** How often it was redelivered. */
  readonly redeliveryCount: number;
  string(): string;
  /** The data parsed as JSON; the shape `T` is not checked. @throws SyntaxError if it is not JSON */
  json<T = unknown>(): T;
  /** The data decoded by the codec of the subscription. @throws the error of the codec */
  decode<T = unknown>(): T;
  /** Acknowledges the message, so that it is not redelivered. Only `manualAck` needs it. A second call has no effect. */
  ack(): void;
}

/** The subscription, as a message sees it. */
export interface MessageSource {
  readonly subject: string;
  readonly codec: Codec<unknown>;
  ack(sequence: number): void;
}

const SEQUENCE = 1;
const DATA = 4;
const TIMESTAMP = 5;
const REDELIVERED = 6;
const REDELIVERY_COUNT = 7;
const NS_PER_MS = 1_000_000n;

/** A received MsgProto. It notes where its fields lie, and decodes them when the program asks. */
export class ReceivedMessage implements Message {
  sequence = 0;
  redelivered = false;
  redeliveryCount = 0;
  readonly #source: MessageSource;
  readonly #bytes: Uint8Array;
  #dataStart = 0;
  #dataEnd = 0;
  #timestampStart = 0;
  #timestampEnd = 0;
  #data: Uint8Array | undefined;
  #isAcked = false;

  private constructor(source: MessageSource, bytes: Uint8Array) {
    this.#source = source;
    this.#bytes = bytes;
  }

  /** @returns undefined if the bytes are not a MsgProto */
  static from(source: MessageSource, bytes: Uint8Array): ReceivedMessage | undefined {
    const message = new ReceivedMessage(source, bytes);
    return message.#read() ? message : undefined;
  }

  get subject(): string {
    return this.#source.subject;
  }

  /** The MsgProto as it was received. */
  get encoded(): Uint8Array {
    return this.#bytes;
  }

  get data(): Uint8Array {
    this.#data ??= this.#bytes.subarray(this.#dataStart, this.#dataEnd);
    return this.#data;
  }

  get timestampNanos(): bigint {
    return varintToBigInt(this.#bytes, this.#timestampStart, this.#timestampEnd);
  }

  get timestamp(): Date {
    return new Date(Number(this.timestampNanos / NS_PER_MS));
  }

  string(): string {
    return textOf(this.data);
  }

  json<T = unknown>(): T {
    return JSON.parse(textOf(this.data)) as T;
  }

  decode<T = unknown>(): T {
    return this.#source.codec.decode(this.data) as T;
  }

  ack(): void {
    if (this.#isAcked) return;
    this.#isAcked = true;
    this.#source.ack(this.sequence);
  }

  #read(): boolean {
    const bytes = this.#bytes;
    const end = bytes.length;
    for (let pos = 0; pos < end; ) {
      const tag = bytes[pos];
      let fieldNumber = tag >>> 3;
      let wireType = tag & 7;
      // The fast path: servers send tags of one byte, and mostly lengths of one byte.
      if (tag < 0x80 && fieldNumber > 0) pos++;
      else {
        pos = readTag(bytes, pos, end);
        if (pos === MALFORMED) return false;
        ({ fieldNumber, wireType } = wire);
      }
      if (wireType === LENGTH_DELIMITED) {
        let length = pos < end ? bytes[pos] : 0x80;
        if (length < 0x80) pos++;
        else {
          pos = readVarint(bytes, pos, end);
          if (pos === MALFORMED) return false;
          length = wire.value;
        }
        if (length > end - pos) return false;
        if (fieldNumber === DATA) {
          this.#dataStart = pos;
          this.#dataEnd = pos + length;
        }
        pos += length;
      } else if (wireType === VARINT) {
        const start = pos;
        pos = readVarint(bytes, pos, end);
        if (pos === MALFORMED) return false;
        if (fieldNumber === SEQUENCE) this.sequence = wire.value;
        else if (fieldNumber === TIMESTAMP) {
          this.#timestampStart = start;
          this.#timestampEnd = pos;
        } else if (fieldNumber === REDELIVERED) this.redelivered = wire.value !== 0;
        else if (fieldNumber === REDELIVERY_COUNT) this.redeliveryCount = wire.value;
      } else {
        wire.wireType = wireType;
        pos = skipValue(bytes, pos, end);
        if (pos === MALFORMED) return false;
      }
    }
    return true;
  }
}
