import { encode, varint } from '../protobuf.js';
import type { Connection, HotConsumer } from './connection.js';

const ACKS_PER_BUFFER = 2_048;
const TAG_SEQUENCE = 0x08;

/** Acks with a sequence of `sequenceBytes` bytes, one after the other, of which only the sequences change. */
interface AckBuffer {
  bytes: Buffer;
  sequenceBytes: number;
}

export interface SubscriberOptions {
  channel: string;
  inbox: string;
  /** Other members get the messages that are missing here. */
  isQueue: boolean;
  onProgress: () => void;
}

/** Reads deliveries, checks that no sequence is missing, acknowledges each. Acks go out once per read. */
export class Subscriber implements HotConsumer {
  /** Messages got, without those that came again. */
  received = 0;
  redelivered = 0;
  readonly #connection: Connection;
  readonly #options: SubscriberOptions;
  readonly #spare: AckBuffer[] = [];
  /** Sequences that came before the broker's answer had said where acks go. */
  readonly #early: Buffer[] = [];
  #ackInbox = '';
  #lastSequence = 0;
  #acks: AckBuffer = { bytes: Buffer.alloc(0), sequenceBytes: 0 };
  #ackSlotBytes = 0;
  #ackCount = 0;

  constructor(connection: Connection, options: SubscriberOptions) {
    this.#connection = connection;
    this.#options = options;
    connection.subscribeHot(options.inbox, this);
  }

  set ackInbox(subject: string) {
    this.#ackInbox = subject;
    for (const sequence of this.#early.splice(0)) this.#acknowledge(sequence, 0, sequence.length);
    this.#flushAcks();
  }

  onPayload(buffer: Buffer, start: number, _end: number): void {
    if (buffer[start] !== TAG_SEQUENCE)
      throw new Error('bench: a delivery that does not begin with its sequence');
    let at = start + 1;
    let byte = buffer[at]!;
    let sequence = byte & 0x7f;
    let scale = 128;
    while (byte >= 0x80) {
      byte = buffer[++at]!;
      sequence += (byte & 0x7f) * scale;
      scale *= 128;
    }
    const isAhead = sequence > this.#lastSequence;
    if (
      sequence === this.#lastSequence + 1 ||
      this.#lastSequence === 0 ||
      (isAhead && this.#options.isQueue)
    ) {
      this.#lastSequence = sequence;
      this.received++;
    } else if (!isAhead) {
      this.redelivered++;
    } else {
      throw new Error(`bench: sequence ${sequence} came after ${this.#lastSequence}`);
    }
    this.#acknowledge(buffer, start + 1, at - start);
  }

  onReadEnd(): void {
    this.#flushAcks();
    this.#options.onProgress();
  }

  #acknowledge(source: Buffer, sequenceAt: number, sequenceBytes: number): void {
    if (this.#ackInbox === '') {
      this.#early.push(Buffer.from(source.subarray(sequenceAt, sequenceAt + sequenceBytes)));
      return;
    }
    if (sequenceBytes !== this.#acks.sequenceBytes || this.#ackCount === ACKS_PER_BUFFER) {
      this.#flushAcks();
      this.#take(sequenceBytes);
    }
    const { bytes } = this.#acks;
    this.#ackCount++;
    const at = this.#ackCount * this.#ackSlotBytes - 2 - sequenceBytes;
    for (let i = 0; i < sequenceBytes; i++) bytes[at + i] = source[sequenceAt + i]!;
  }

  #flushAcks(): void {
    if (this.#ackCount === 0) return;
    const used = this.#acks;
    this.#connection.write(used.bytes.subarray(0, this.#ackCount * this.#ackSlotBytes), () =>
      this.#spare.push(used),
    );
    this.#take(used.sequenceBytes);
  }

  #take(sequenceBytes: number): void {
    this.#ackCount = 0;
    const spare = this.#spare.pop();
    if (spare?.sequenceBytes === sequenceBytes) {
      this.#acks = spare;
      return;
    }
    // Of another length: the old ones are of no more use, sequences only grow.
    this.#spare.length = 0;
    const head = encode([[1, this.#options.channel]]);
    const ack = Buffer.concat([head, varint(2 * 8), Buffer.alloc(sequenceBytes)]);
    const slot = Buffer.concat([
      Buffer.from(`PUB ${this.#ackInbox} ${ack.length}\r\n`),
      ack,
      Buffer.from('\r\n'),
    ]);
    this.#ackSlotBytes = slot.length;
    this.#acks = { bytes: Buffer.alloc(slot.length * ACKS_PER_BUFFER, slot), sequenceBytes };
  }
}
