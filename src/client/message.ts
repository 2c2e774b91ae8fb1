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
  /** Its place in the channel, from 1, without gaps. */
  readonly sequence: number;
  /** When it was stored, to the millisecond. */
  readonly timestamp: Date;
  /** The same in nanoseconds since 1970. */
  readonly timestampNanos: bigint;
  readonly data: Uint8Array;
  /** It was delivered before, and no ack came in time. */
  readonly redelivered: boolean;
  /** How often it was delivered again. */
  readonly redeliveryCount: number;
  string(): string;
  /** @throws SyntaxError if it is no JSON. Nothing checks that it has the shape `T`. */
  json<T = unknown>(): T;
  /** Through the codec of the subscription. @throws what the codec throws */
  decode<T = unknown>(): T;
  /** Tells the server that it need not come again. Needed with `manualAck` only; harmless a second time. */
  ack(): void;
}

/** What a message needs of its subscription. */
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

/** What a MsgProto says: where its parts lie, looked at when somebody asks. */
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
      const tag = bytes[pos]!;
      let fieldNumber = tag >>> 3;
      let wireType = tag & 7;
      // What every server sends: a tag of one byte, and mostly a length of one.
      if (tag < 0x80 && fieldNumber > 0) pos++;
      else {
        pos = readTag(bytes, pos, end);
        if (pos === MALFORMED) return false;
        ({ fieldNumber, wireType } = wire);
      }
      if (wireType === LENGTH_DELIMITED) {
        let length = pos < end ? bytes[pos]! : 0x80;
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
