import { MALFORMED, readTag, readVarint, skipValue, varintToBigInt, wire } from '../protocol/wire.js';
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

/** Sends the ack of one message. */
export type SendAck = (sequence: number) => void;

const SEQUENCE = 1;
const DATA = 4;
const TIMESTAMP = 5;
const REDELIVERED = 6;
const REDELIVERY_COUNT = 7;
const NS_PER_MS = 1_000_000n;
const EMPTY = new Uint8Array(0);

/** What a MsgProto says, with a view of its data: no copy. */
export class ReceivedMessage implements Message {
  readonly subject: string;
  readonly sequence: number;
  readonly data: Uint8Array;
  readonly redelivered: boolean;
  readonly redeliveryCount: number;
  readonly #bytes: Uint8Array;
  readonly #timestampStart: number;
  readonly #timestampEnd: number;
  readonly #codec: Codec<unknown>;
  readonly #sendAck: SendAck;
  #isAcked = false;

  private constructor(
    subject: string,
    bytes: Uint8Array,
    fields: {
      sequence: number;
      dataStart: number;
      dataEnd: number;
      redelivered: boolean;
      redeliveryCount: number;
    },
    timestampStart: number,
    timestampEnd: number,
    codec: Codec<unknown>,
    sendAck: SendAck,
  ) {
    this.subject = subject;
    this.sequence = fields.sequence;
    this.data = fields.dataEnd === 0 ? EMPTY : bytes.subarray(fields.dataStart, fields.dataEnd);
    this.redelivered = fields.redelivered;
    this.redeliveryCount = fields.redeliveryCount;
    this.#bytes = bytes;
    this.#timestampStart = timestampStart;
    this.#timestampEnd = timestampEnd;
    this.#codec = codec;
    this.#sendAck = sendAck;
  }

  /** @returns undefined if the bytes are not a MsgProto */
  static from(
    subject: string,
    bytes: Uint8Array,
    codec: Codec<unknown>,
    sendAck: SendAck,
  ): ReceivedMessage | undefined {
    const fields = { sequence: 0, dataStart: 0, dataEnd: 0, redelivered: false, redeliveryCount: 0 };
    let timestampStart = 0;
    let timestampEnd = 0;
    const end = bytes.length;
    for (let pos = 0; pos < end; ) {
      pos = readTag(bytes, pos, end);
      if (pos === MALFORMED) return undefined;
      const { fieldNumber } = wire;
      const start = pos;
      if (fieldNumber === DATA) {
        pos = readVarint(bytes, pos, end);
        if (pos === MALFORMED || wire.value > end - pos) return undefined;
        fields.dataStart = pos;
        fields.dataEnd = pos += wire.value;
        continue;
      }
      pos = skipValue(bytes, pos, end);
      if (pos === MALFORMED) return undefined;
      if (fieldNumber === TIMESTAMP) {
        timestampStart = start;
        timestampEnd = pos;
      } else if (
        fieldNumber === SEQUENCE ||
        fieldNumber === REDELIVERED ||
        fieldNumber === REDELIVERY_COUNT
      ) {
        readVarint(bytes, start, end);
        if (fieldNumber === SEQUENCE) fields.sequence = wire.value;
        else if (fieldNumber === REDELIVERED) fields.redelivered = wire.value !== 0;
        else fields.redeliveryCount = wire.value;
      }
    }
    return new ReceivedMessage(subject, bytes, fields, timestampStart, timestampEnd, codec, sendAck);
  }

  get timestampNanos(): bigint {
    return varintToBigInt(this.#bytes, this.#timestampStart, this.#timestampEnd);
  }

  get timestamp(): Date {
    return new Date(Number(this.timestampNanos / NS_PER_MS));
  }

  get isAcked(): boolean {
    return this.#isAcked;
  }

  string(): string {
    return textOf(this.data);
  }

  json<T = unknown>(): T {
    return JSON.parse(textOf(this.data)) as T;
  }

  decode<T = unknown>(): T {
    return this.#codec.decode(this.data) as T;
  }

  ack(): void {
    if (this.#isAcked) return;
    this.#isAcked = true;
    this.#sendAck(this.sequence);
  }
}
