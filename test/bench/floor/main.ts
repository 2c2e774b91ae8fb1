import { Link } from '../../../src/link/link.js';
import type { LinkHandler } from '../../../src/link/link-handler.js';
import { type OutBuffer, pubPrefix } from '../../../src/link/writer.js';
import { decodeTexts, encode, varint } from '../protobuf.js';
import { decodeAck, decodePubMsg, encodeMsgProto, encodePubAck, type PubMsg, writeMessage } from './codec.js';
import { Journal } from './journal.js';
import { FLOOR_READY, type FloorSpec } from './spec.js';

const TAG_PUB_ACK_GUID = 0x0a;
const TAG_SEQUENCE = 0x08;
const TAG_MSG_SUBJECT = 0x12;
const TAG_MSG_DATA = 0x22;
const TAG_TIMESTAMP = 0x28;
const CONNECT_TIMEOUT_MS = 5_000;

/**
 * The least that answers PubAck to PubMsg over the project's own link: it checks nothing, remembers nothing, and numbers the
 * messages of all channels in one row. What the broker's speed and CPU time are compared with. It decodes each message
 * and encodes each answer; the bare one does not even that, and knows where to find the bytes that it copies.
 */
class Floor implements LinkHandler {
  readonly #spec: FloorSpec;
  /** Of all its subjects: two floors may answer on one nats-server. */
  readonly #prefix: string;
  #link!: Link;
  #journal: Journal | undefined;
  #out!: OutBuffer;
  /** Acks and deliveries of the batch that is being written. */
  #waiting: OutBuffer | undefined;
  #inboxes: Buffer[] = [];
  #sequence = 0;
  /** The timestamp's field, the same for all. */
  readonly #timestamp = Buffer.from([TAG_TIMESTAMP, ...varint(Date.now() * 1e6)]);
  #pubSid = 0;
  #ackSid = 0;
  #discoverSid = 0;
  #subSid = 0;

  constructor(spec: FloorSpec) {
    this.#spec = spec;
    this.#prefix = `_FLOOR.${spec.clusterId}`;
  }

  async start(): Promise<void> {
    const { natsPort, clusterId, journalPath, isOverwriting } = this.#spec;
    if (journalPath !== undefined)
      this.#journal = await Journal.create(journalPath, isOverwriting, (error) => this.#onDurable(error));
    const target = { host: '127.0.0.1', port: natsPort, connectTimeoutMs: CONNECT_TIMEOUT_MS };
    this.#link = await Link.connect(target, this, { onDown: (reason) => stop(new Error(reason)) });
    this.#pubSid = this.#link.subscribe(`${this.#prefix}.pub.>`);
    this.#ackSid = this.#link.subscribe(`${this.#prefix}.ack`);
    this.#discoverSid = this.#link.subscribe(`_STAN.discover.${clusterId}`);
    this.#subSid = this.#link.subscribe(`${this.#prefix}.sub`);
    this.#link.subscribe(`${this.#prefix}.close`);
    this.#out = this.#link.takeBuffer();
    await this.#link.flush();
  }

  onMessage(
    sid: number,
    buffer: Buffer,
    _subjectStart: number,
    _subjectEnd: number,
    replyStart: number,
    replyEnd: number,
    start: number,
    end: number,
  ): void {
    if (sid === this.#pubSid) {
      if (this.#spec.isBare) this.#publishBarely(buffer, replyStart, replyEnd, start, end);
      else this.#publish(buffer, replyStart, replyEnd, start, end);
    } else if (sid === this.#ackSid) {
      if (!this.#spec.isBare) this.#ack(buffer, start, end);
    } else {
      const reply = buffer.toString('latin1', replyStart, replyEnd);
      this.#control(sid, reply, Buffer.from(buffer.subarray(start, end)));
    }
  }

  onBatchEnd(): void {
    if (this.#out.length === 0) return;
    if (this.#journal === undefined) {
      this.#link.send(this.#out);
      this.#out = this.#link.takeBuffer();
    } else if (this.#waiting === undefined) {
      this.#write();
    }
  }

  #publish(buffer: Buffer, replyStart: number, replyEnd: number, start: number, end: number): void {
    const message = decodePubMsg(buffer.subarray(start, end));
    const reply = buffer.toString('latin1', replyStart, replyEnd);
    writeMessage(this.#out, reply, encodePubAck(message.guid));
    this.#journal?.append(buffer, start, end);
    if (this.#inboxes.length > 0) this.#forward(message);
  }

  #ack(buffer: Buffer, start: number, end: number): void {
    const { subject, sequence } = decodeAck(buffer.subarray(start, end));
    if (sequence > this.#sequence)
      stop(new Error(`message ${sequence} of ${subject} was acked and never sent`));
  }

  #forward(message: PubMsg): void {
    const encoded = encodeMsgProto(++this.#sequence, message, this.#timestamp);
    for (const inbox of this.#inboxes) {
      this.#out.pubTo(inbox, encoded.length);
      this.#out.bytes(encoded, 0, encoded.length);
      this.#out.crlf();
    }
  }

  #publishBarely(buffer: Buffer, replyStart: number, replyEnd: number, start: number, end: number): void {
    const out = this.#out;
    // Client ID, guid and subject are shorter than 128 bytes here, so a length is a byte.
    let at = start + 2 + buffer[start + 1]!;
    const guid = at;
    at += 2 + buffer[at + 1]!;
    out.pub(buffer, replyStart, replyEnd, at - guid);
    // The guid has field 2 in a PubMsg, and 1 in a PubAck.
    const tagAt = out.length;
    out.bytes(buffer, guid, at);
    out.buf[tagAt] = TAG_PUB_ACK_GUID;
    out.crlf();
    this.#journal?.append(buffer, start, end);
    if (this.#inboxes.length > 0) this.#forwardBarely(buffer, at);
  }

  /** @param subject where the subject's field begins in the PubMsg; the data's follows it */
  #forwardBarely(buffer: Buffer, subject: number): void {
    const data = subject + 2 + buffer[subject + 1]!;
    let at = data + 1;
    let size = 0;
    let scale = 1;
    let byte: number;
    do {
      byte = buffer[at++]!;
      size += (byte & 0x7f) * scale;
      scale *= 128;
    } while (byte >= 0x80);
    const end = at + size;
    const out = this.#out;
    const timestamp = this.#timestamp;
    const sequence = ++this.#sequence;
    let sequenceBytes = 1;
    for (let limit = 128; sequence >= limit; limit *= 128) sequenceBytes++;
    const length = 1 + sequenceBytes + end - subject + timestamp.length;
    for (const inbox of this.#inboxes) {
      out.pubTo(inbox, length);
      const { buf } = out;
      let to = out.length;
      buf[to++] = TAG_SEQUENCE;
      let rest = sequence;
      for (; rest >= 128; rest = Math.floor(rest / 128)) buf[to++] = (rest % 128) | 0x80;
      buf[to++] = rest;
      out.length = to;
      out.bytes(buffer, subject, end);
      buf[to] = TAG_MSG_SUBJECT;
      buf[to + data - subject] = TAG_MSG_DATA;
      out.bytes(timestamp, 0, timestamp.length);
      out.crlf();
    }
  }

  #write(): void {
    this.#waiting = this.#out;
    this.#out = this.#link.takeBuffer();
    this.#journal!.write();
  }

  #onDurable(error?: Error): void {
    if (error !== undefined) stop(error);
    this.#link.send(this.#waiting!);
    this.#waiting = undefined;
    if (this.#out.length > 0) this.#write();
  }

  #control(sid: number, reply: string, request: Buffer): void {
    if (sid === this.#discoverSid) {
      const fields = ['pub', 'sub', 'unsub', 'close'].map((name) => `${this.#prefix}.${name}`);
      this.#answer(reply, encode(fields.map((text, index) => [index + 1, text] as const)));
    } else if (sid === this.#subSid) {
      this.#inboxes.push(pubPrefix(decodeTexts(request).get(4) ?? ''));
      this.#answer(reply, encode([[2, `${this.#prefix}.ack`]]));
    } else {
      this.#inboxes = [];
      this.#answer(reply, Buffer.alloc(0));
    }
  }

  #answer(reply: string, payload: Buffer): void {
    this.#out.pubTo(pubPrefix(reply), payload.length);
    this.#out.bytes(payload, 0, payload.length);
    this.#out.crlf();
  }
}

function stop(error: Error): never {
  process.stderr.write(`bench: the floor cannot go on: ${error.message}\n`);
  process.exit(1);
}

process.once('SIGTERM', () => process.exit(0));
try {
  await new Floor(JSON.parse(process.argv[2] ?? '{}') as FloorSpec).start();
  process.stdout.write(`${FLOOR_READY}\n`);
} catch (error) {
  stop(error as Error);
}
