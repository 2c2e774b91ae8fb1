import type { OutBuffer } from '../../../src/link/writer.js';

/** What a program has in its hands that decodes a PubMsg and does not think of its cost. */
export interface PubMsg {
  clientId: string;
  guid: string;
  subject: string;
  data: Buffer;
}

export interface Ack {
  subject: string;
  sequence: number;
}

interface Fields {
  bytes: Buffer;
  at: number;
}

const BYTES = 2;
const MAX_VARINT_BYTES = 10;
const LARGEST_SMALL_VARINT = 127;

/** @throws Error on bytes that are none */
export function decodePubMsg(bytes: Buffer): PubMsg {
  const message: PubMsg = { clientId: '', guid: '', subject: '', data: Buffer.alloc(0) };
  const fields = { bytes, at: 0 };
  while (fields.at < bytes.length) {
    const tag = readVarint(fields);
    const value = readVarint(fields);
    if (tag % 8 !== BYTES) continue;
    const end = fields.at + value;
    if (tag === 0x0a) message.clientId = bytes.toString('utf8', fields.at, end);
    else if (tag === 0x12) message.guid = bytes.toString('utf8', fields.at, end);
    else if (tag === 0x1a) message.subject = bytes.toString('utf8', fields.at, end);
    else if (tag === 0x2a) message.data = bytes.subarray(fields.at, end);
    fields.at = end;
  }
  return message;
}

/** @throws Error on bytes that are none */
export function decodeAck(bytes: Buffer): Ack {
  const ack: Ack = { subject: '', sequence: 0 };
  const fields = { bytes, at: 0 };
  while (fields.at < bytes.length) {
    const tag = readVarint(fields);
    const value = readVarint(fields);
    if (tag === 0x10) ack.sequence = value;
    if (tag % 8 !== BYTES) continue;
    ack.subject = bytes.toString('utf8', fields.at, fields.at + value);
    fields.at += value;
  }
  return ack;
}

export function encodePubAck(guid: string): Buffer {
  const text = Buffer.from(guid);
  const bytes = Buffer.allocUnsafe(1 + MAX_VARINT_BYTES + text.length);
  return bytes.subarray(0, writeBytes(bytes, 0, 0x0a, text));
}

export function encodeMsgProto(sequence: number, { subject, data }: PubMsg, timestamp: Buffer): Buffer {
  const text = Buffer.from(subject);
  const most = 3 * (1 + MAX_VARINT_BYTES) + text.length + data.length + timestamp.length;
  const bytes = Buffer.allocUnsafe(most);
  bytes[0] = 0x08;
  let at = writeVarint(bytes, 1, sequence);
  at = writeBytes(bytes, at, 0x12, text);
  at = writeBytes(bytes, at, 0x22, data);
  at += timestamp.copy(bytes, at);
  return bytes.subarray(0, at);
}

export function writeMessage(out: OutBuffer, subject: string, payload: Buffer): void {
  out.ascii(`PUB ${subject} ${payload.length}\r\n`);
  out.bytes(payload, 0, payload.length);
  out.crlf();
}

function readVarint(fields: Fields): number {
  let value = 0;
  let scale = 1;
  for (;;) {
    const byte = fields.bytes[fields.at++];
    if (byte === undefined) throw new Error(`truncated protobuf message of ${fields.bytes.length} bytes`);
    value += (byte & 0x7f) * scale;
    if (byte <= LARGEST_SMALL_VARINT) return value;
    scale *= 128;
  }
}

function writeVarint(bytes: Buffer, at: number, value: number): number {
  let rest = value;
  let to = at;
  for (; rest > LARGEST_SMALL_VARINT; rest = Math.floor(rest / 128)) bytes[to++] = (rest % 128) | 0x80;
  bytes[to++] = rest;
  return to;
}

function writeBytes(bytes: Buffer, at: number, tag: number, content: Buffer): number {
  bytes[at] = tag;
  const to = writeVarint(bytes, at + 1, content.length);
  return to + content.copy(bytes, to);
}
