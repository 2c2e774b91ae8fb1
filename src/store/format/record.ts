import { crc32 } from '../../util/crc.js';
import type { ClientRecord, SequenceRanges, SubscriptionRecord } from '../types/store.js';
import { type ByteReader, ByteWriter } from './bytes.js';

/*
 * A record has the same bytes in journals and segments:
 *
 *   0  u32  length of what follows the first 8 bytes
 *   4  u32  CRC-32 of it
 *   8  u8   type
 *   9       body
 */
export const RECORD_HEADER_BYTES = 9;
const CHECKED_FROM = 8;

/*
 * A message:
 *
 *   9  u32  channel id
 *  13  u32  session of the publisher
 *  17  u8   length of the guid
 *  18       guid, then the MsgProto
 */
export const MESSAGE_HEADER_BYTES = 18;
/** A longer guid is not kept. */
export const MAX_GUID_BYTES = 255;

export const RecordType = {
  message: 1,
  channelCreated: 2,
  channelDeleted: 3,
  clientPut: 4,
  clientRemoved: 5,
  subscriptionPut: 6,
  subscriptionRemoved: 7,
  progress: 8,
  bounds: 9,
  /** As release 0.1.0 has it, without the checkpoint. */
  formerTerm: 10,
  term: 11,
  batch: 16,
} as const;

export function readU32(buffer: Buffer, at: number): number {
  return (buffer[at] | (buffer[at + 1] << 8) | (buffer[at + 2] << 16) | (buffer[at + 3] << 24)) >>> 0;
}

export function writeU32(buffer: Buffer, at: number, value: number): void {
  buffer[at] = value;
  buffer[at + 1] = value >>> 8;
  buffer[at + 2] = value >>> 16;
  buffer[at + 3] = value >>> 24;
}

/** Completes a record whose type and body are in place: it fills in the length and the CRC. */
export function sealRecord(buffer: Buffer, start: number, end: number): void {
  writeU32(buffer, start, end - start - CHECKED_FROM);
  writeU32(buffer, start + 4, crc32(buffer, start + CHECKED_FROM, end));
}

/** @returns the end of the record; -1 if there is no complete record with a right CRC before `limit` */
export function checkRecord(buffer: Buffer, start: number, limit: number): number {
  if (limit - start < RECORD_HEADER_BYTES) return -1;
  const length = readU32(buffer, start);
  const end = start + CHECKED_FROM + length;
  if (length === 0 || end > limit) return -1;
  return crc32(buffer, start + CHECKED_FROM, end) === readU32(buffer, start + 4) ? end : -1;
}

/** Reads a field of a record whose header is in place. */
export function recordEnd(buffer: Buffer, start: number): number {
  return start + CHECKED_FROM + readU32(buffer, start);
}

/** The offset of the MsgProto in a message record. It ends with the record. */
export function msgProtoStart(buffer: Buffer, start: number): number {
  return start + MESSAGE_HEADER_BYTES + buffer[start + 17];
}

export function messageChannelId(buffer: Buffer, start: number): number {
  return readU32(buffer, start + 9);
}

/** Encodes the rare records. The bytes are in `writer` until the next call; the caller completes them by `sealRecord`. */
export class RecordEncoder {
  readonly writer = new ByteWriter(512);

  channelCreated(id: number, createdMs: number, name: string): ByteWriter {
    const w = this.#begin(RecordType.channelCreated);
    w.u32(id);
    w.f64(createdMs);
    w.string(name);
    return w;
  }

  channelDeleted(id: number): ByteWriter {
    const w = this.#begin(RecordType.channelDeleted);
    w.u32(id);
    return w;
  }

  bounds(id: number, firstSequence: number): ByteWriter {
    const w = this.#begin(RecordType.bounds);
    w.u32(id);
    w.varint(firstSequence);
    return w;
  }

  clientPut(record: ClientRecord): ByteWriter {
    const w = this.#begin(RecordType.clientPut);
    writeClient(w, record);
    return w;
  }

  clientRemoved(clientId: string): ByteWriter {
    const w = this.#begin(RecordType.clientRemoved);
    w.string(clientId);
    return w;
  }

  subscriptionPut(record: SubscriptionRecord): ByteWriter {
    const w = this.#begin(RecordType.subscriptionPut);
    writeSubscription(w, record);
    return w;
  }

  subscriptionRemoved(id: number): ByteWriter {
    const w = this.#begin(RecordType.subscriptionRemoved);
    w.u32(id);
    return w;
  }

  progress(id: number, delivered: SequenceRanges, acked: SequenceRanges): ByteWriter {
    const w = this.#begin(RecordType.progress);
    w.u32(id);
    writeRanges(w, delivered);
    writeRanges(w, acked);
    return w;
  }

  #begin(type: number): ByteWriter {
    const w = this.writer;
    w.reset();
    // `sealRecord` fills in length and CRC.
    w.u32(0);
    w.u32(0);
    w.u8(type);
    return w;
  }
}

export function writeClient(w: ByteWriter, record: ClientRecord): void {
  w.string(record.clientId);
  w.string(record.heartbeatInbox);
  w.bytes(record.connId);
  w.varint(record.protocol);
  w.varint(record.pingIntervalSeconds);
  w.varint(record.pingMaxOut);
  w.u32(record.session);
}

export function readClient(r: ByteReader): ClientRecord {
  return {
    clientId: r.string(),
    heartbeatInbox: r.string(),
    connId: r.bytes(),
    protocol: r.varint(),
    pingIntervalSeconds: r.varint(),
    pingMaxOut: r.varint(),
    session: r.u32(),
  };
}

const IS_DURABLE = 1;
const IS_ONLINE = 2;

export function writeSubscription(w: ByteWriter, record: SubscriptionRecord): void {
  w.u32(record.id);
  w.u32(record.channelId);
  w.string(record.clientId);
  w.string(record.inbox);
  w.string(record.ackInbox);
  w.string(record.queueGroup);
  w.string(record.durableName);
  w.u8((record.isDurable ? IS_DURABLE : 0) | (record.isOnline ? IS_ONLINE : 0));
  w.varint(record.maxInFlight);
  w.varint(record.ackWaitSeconds);
  w.varint(record.lastSent);
}

export function readSubscription(r: ByteReader): SubscriptionRecord {
  const record = {
    id: r.u32(),
    channelId: r.u32(),
    clientId: r.string(),
    inbox: r.string(),
    ackInbox: r.string(),
    queueGroup: r.string(),
    durableName: r.string(),
    isDurable: false,
    isOnline: false,
    maxInFlight: 0,
    ackWaitSeconds: 0,
    lastSent: 0,
  };
  const flags = r.u8();
  record.isDurable = (flags & IS_DURABLE) !== 0;
  record.isOnline = (flags & IS_ONLINE) !== 0;
  record.maxInFlight = r.varint();
  record.ackWaitSeconds = r.varint();
  record.lastSent = r.varint();
  return record;
}

/** Writes ranges as distances: their count, then for each the gap to the one before, in zigzag since it may be negative, and its length - 1. */
export function writeRanges(w: ByteWriter, ranges: SequenceRanges): void {
  w.varint(ranges.length / 2);
  let last = 0;
  for (let i = 0; i < ranges.length; i += 2) {
    const gap = ranges[i] - last;
    w.varint(gap < 0 ? -2 * gap - 1 : 2 * gap);
    w.varint(ranges[i + 1] - ranges[i]);
    last = ranges[i + 1];
  }
}

export function readRanges(r: ByteReader): number[] {
  const count = r.varint();
  if (count > r.end - r.pos) throw new RangeError('more ranges than bytes');
  const ranges: number[] = [];
  let last = 0;
  for (let i = 0; i < count; i++) {
    const zigzag = r.varint();
    const start = last + (zigzag % 2 === 1 ? -(zigzag + 1) / 2 : zigzag / 2);
    last = start + r.varint();
    ranges.push(start, last);
  }
  return ranges;
}
