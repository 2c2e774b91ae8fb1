// Files of a Go server, written as it writes them, with faults where a test wants them.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeMsgProtoMessage } from '../../../src/protocol/messages.js';
import { crc32 } from '../../../src/util/crc.js';

export const VERSION = Buffer.from([1, 0, 0, 0]);

export interface WrittenMessage {
  readonly sequence: number;
  readonly data: string | Buffer;
  readonly timestampMs?: number;
}

export const FIRST_MS = 1_700_000_000_000;

export function record(payload: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(payload.length);
  head.writeUInt32LE(crc32(Buffer.from(payload), 0, payload.length), 4);
  return Buffer.concat([head, payload]);
}

/** @param type 1 to 5 */
export function typedRecord(type: number, payload: Uint8Array): Buffer {
  const bytes = record(payload);
  bytes[3] = type;
  return bytes;
}

export function messageRecord({ sequence, data, timestampMs = FIRST_MS + sequence }: WrittenMessage): Buffer {
  const timestamp = BigInt(timestampMs) * 1_000_000n;
  return record(encodeMsgProtoMessage({ sequence, subject: 'x', data: Buffer.from(data), timestamp }));
}

export function indexRow(
  sequence: number,
  offset: number,
  timestampMs: number,
  payloadBytes: number,
): Buffer {
  const row = Buffer.alloc(32);
  row.writeBigUInt64LE(BigInt(sequence));
  row.writeBigUInt64LE(BigInt(offset), 8);
  row.writeBigInt64LE(BigInt(timestampMs) * 1_000_000n, 16);
  row.writeUInt32LE(payloadBytes, 24);
  row.writeUInt32LE(crc32(row, 0, 28), 28);
  return row;
}

export function messagesFrom(first: number, last: number): WrittenMessage[] {
  return Array.from({ length: last - first + 1 }, (_, i) => ({
    sequence: first + i,
    data: `message ${first + i}`,
  }));
}

/** What a slice is made of: messages that the index lists, and bytes that it does not. */
export type Part = WrittenMessage | Buffer;

/** Writes `msgs.N.dat` and `msgs.N.idx` of a channel. */
export function writeSlice(
  channelDir: string,
  number: number,
  parts: readonly Part[],
): { offsets: number[] } {
  mkdirSync(channelDir, { recursive: true });
  const data: Buffer[] = [VERSION];
  const index: Buffer[] = [VERSION];
  const offsets: number[] = [];
  let offset = VERSION.length;
  for (const part of parts) {
    const bytes = Buffer.isBuffer(part) ? part : messageRecord(part);
    if (!Buffer.isBuffer(part)) {
      const { sequence, timestampMs = FIRST_MS + sequence } = part;
      index.push(indexRow(sequence, offset, timestampMs, bytes.length - 8));
      offsets.push(offset);
    }
    data.push(bytes);
    offset += bytes.length;
  }
  writeFileSync(join(channelDir, `msgs.${number}.dat`), Buffer.concat(data));
  writeFileSync(join(channelDir, `msgs.${number}.idx`), Buffer.concat(index));
  return { offsets };
}

/** A protobuf of texts and numbers by their field numbers. */
export function fields(values: Readonly<Record<number, string | number>>): Buffer {
  const parts = Object.entries(values).map(([field, value]) => {
    if (typeof value === 'number') return Buffer.from([(Number(field) << 3) | 0, ...varint(value)]);
    return Buffer.concat([
      Buffer.from([(Number(field) << 3) | 2, ...varint(value.length)]),
      Buffer.from(value),
    ]);
  });
  return Buffer.concat(parts);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return [...bytes, rest];
}
