import { type GuidRun, packGuids } from '../../dedup/packed-guids.js';
import type { FileId } from '../../files/file-names.js';
import { damaged } from '../../files/store-error.js';
import { crc32, crc32Of, nextCrc32 } from '../../util/crc.js';
import type { JournalPosition } from '../types/journal.js';
import type { ClientRecord, SequenceRanges, SnapshotSink, SubscriptionRecord } from '../types/store.js';
import type { SavedTime } from '../types/store-time.js';
import { ByteReader, ByteWriter } from './bytes.js';
import { decodeFileHeader, encodeFileHeader, FILE_HEADER_BYTES, Magic } from './file-header.js';
import {
  readClient,
  readRanges,
  readSubscription,
  writeClient,
  writeRanges,
  writeSubscription,
} from './record.js';
import type { SegmentFile } from './segment-format.js';

/*
 * A checkpoint is a file header, a body, and the CRC-32 of the body (u32). The body has these fields; numbers are varints unless
 * another type is given:
 *
 *   journal position: epoch, file number, offset, number of the next batch
 *   newest timestamp (u64, ns since 1970), next channel id, next session, next subscription id
 *   segments: count; each: epoch, number, length of the file in bytes, CRC of its footer (u32); both 0 if they are not known. In version 1:
 *     epoch, number
 *   bodies, from version 3 on: count; each: epoch, number, bytes that count, salt of its header (u32)
 *   channels: count; each: id, name, first and last sequence, bytes, last activity (f64, ms since 1970);
 *     extents: count; each: segment (index in the list above), messages, offset, bytes of records, and from version 3 on the body
 *     that the records are in (index in the list above, from 1; 0: they are in the segment). The first extent's first sequence stands
 *     before them; the others follow. One of 0 bytes is a gap: messages that are lost
 *   clients: count; each as in its record
 *   subscriptions: count; each as in its record, then the ranges of pending sequences
 *   recent guids: count of runs; each: timestamp of the first (f64, ms since 1970), how many, bytes, guids (see dedup/packed-guids.ts). Before
 *     version 3: timestamp of the first, bytes, entries (see dedup/guid-entry.ts)
 *   only if the store's own time is not the clock's: its lead (f64, ms); gaps: count; each: from, to (f64, ms since 1970)
 */

export interface CheckpointExtent {
  /** Index in `segments`. It has no meaning for a gap, which has 0 bytes of records. */
  segment: number;
  count: number;
  offset: number;
  recordBytes: number;
  /** Index in `bodies`; undefined if the records are in the segment. */
  body: number | undefined;
}

export interface CheckpointChannel {
  id: number;
  name: string;
  firstSequence: number;
  lastSequence: number;
  byteCount: number;
  lastActivityMs: number;
  extentsFirst: number;
  extents: CheckpointExtent[];
}

/** A segment as a checkpoint names it. */
export interface NamedSegment extends FileId {
  /** Undefined if it is not known: the segment was written by release 0.1.0, whose checkpoints do not say it. */
  file: SegmentFile | undefined;
}

/** A journal file that messages stay in, as a checkpoint names it. */
export interface NamedBody extends FileId {
  /** Bytes that count. */
  end: number;
  salt: number;
}

export interface CheckpointIds {
  newestNs: bigint;
  nextLogId: number;
  nextSession: number;
  nextSubscriptionId: number;
  /** Undefined if the store's own time is that of the clock. */
  time: SavedTime | undefined;
}

export interface Checkpoint extends CheckpointIds {
  position: JournalPosition;
  segments: NamedSegment[];
  bodies: NamedBody[];
  channels: CheckpointChannel[];
  clients: ClientRecord[];
  subscriptions: { record: SubscriptionRecord; pending: number[] }[];
  recentGuids: GuidRun[];
  /** How many bytes are behind its end, which something else has appended. */
  foreignBytes: number;
}

/** Collects clients, subscriptions and recent guids, and encodes them at once. It is reused for each checkpoint. */
export class SnapshotWriter implements SnapshotSink {
  readonly #clients = new ByteWriter(16 * 1024);
  readonly #subscriptions = new ByteWriter(16 * 1024);
  readonly #guids = new ByteWriter(16 * 1024);
  #clientCount = 0;
  #subscriptionCount = 0;
  #guidRuns = 0;

  reset(): void {
    for (const writer of [this.#clients, this.#subscriptions, this.#guids]) writer.reset();
    this.#clientCount = this.#subscriptionCount = this.#guidRuns = 0;
  }

  client(record: ClientRecord): void {
    this.#clientCount++;
    writeClient(this.#clients, record);
  }

  subscription(record: SubscriptionRecord, pending: SequenceRanges): void {
    this.#subscriptionCount++;
    writeSubscription(this.#subscriptions, record);
    writeRanges(this.#subscriptions, pending);
  }

  recentGuids({ ms, count, packed }: GuidRun): void {
    this.#guidRuns++;
    this.#guids.f64(ms);
    this.#guids.varint(count);
    this.#guids.bytes(packed);
  }

  /** Valid until `reset`. */
  parts(): Buffer[] {
    return [
      count(this.#clientCount),
      this.#clients.written(),
      count(this.#subscriptionCount),
      this.#subscriptions.written(),
      count(this.#guidRuns),
      this.#guids.written(),
    ];
  }
}

function count(value: number): Buffer {
  const w = new ByteWriter(8);
  w.varint(value);
  return w.written();
}

const CRC_BYTES = 4;

/** Writes the parts of a checkpoint that are not in the snapshot. It is reused for each checkpoint. */
export class CheckpointWriter {
  readonly #w = new ByteWriter(64 * 1024);
  #time: SavedTime | undefined;

  begin(
    position: JournalPosition,
    ids: CheckpointIds,
    segments: readonly NamedSegment[],
    bodies: readonly NamedBody[],
    channels: number,
  ): void {
    const w = this.#w;
    w.reset();
    w.varint(position.epoch);
    w.varint(position.number);
    w.varint(position.offset);
    w.varint(position.nextIndex);
    w.u64(ids.newestNs);
    this.#time = ids.time;
    w.varint(ids.nextLogId);
    w.varint(ids.nextSession);
    w.varint(ids.nextSubscriptionId);
    w.varint(segments.length);
    for (const { epoch, number, file } of segments) {
      w.varint(epoch);
      w.varint(number);
      w.varint(file?.bytes ?? 0);
      w.u32(file?.footerCrc ?? 0);
    }
    w.varint(bodies.length);
    for (const { epoch, number, end, salt } of bodies) {
      w.varint(epoch);
      w.varint(number);
      w.varint(end);
      w.u32(salt);
    }
    w.varint(channels);
  }

  channel(channel: CheckpointChannel): void {
    const w = this.#w;
    w.varint(channel.id);
    w.string(channel.name);
    w.varint(channel.firstSequence);
    w.varint(channel.lastSequence);
    w.varint(channel.byteCount);
    w.f64(channel.lastActivityMs);
    w.varint(channel.extents.length);
    if (channel.extents.length > 0) w.varint(channel.extentsFirst);
    for (const extent of channel.extents) {
      w.varint(extent.segment);
      w.varint(extent.count);
      w.varint(extent.offset);
      w.varint(extent.recordBytes);
      w.varint(extent.body === undefined ? 0 : extent.body + 1);
    }
  }

  /**
   * The whole file, in pieces, valid until the next `begin`.
   *
   * @param fileBytes least size of the file: zeros behind the checkpoint fill it up
   */
  finish(id: FileId, storeId: string, snapshot: SnapshotWriter, fileBytes = 0): Buffer[] {
    const body = this.#body(snapshot);
    const bytes = this.bytes(snapshot);
    if (bytes < fileBytes) body.push(Buffer.alloc(fileBytes - bytes));
    const crc = Buffer.alloc(4);
    crc.writeUInt32LE(crc32Of(body));
    return [encodeFileHeader(Magic.checkpoint, { ...id, storeId, salt: 0 }), ...body, crc];
  }

  /** The size without the zeros. */
  bytes(snapshot: SnapshotWriter): number {
    const bodyBytes = this.#body(snapshot).reduce((sum, { length }) => sum + length, 0);
    return FILE_HEADER_BYTES + bodyBytes + CRC_BYTES;
  }

  #body(snapshot: SnapshotWriter): Buffer[] {
    const body = [this.#w.written(), ...snapshot.parts()];
    if (this.#time !== undefined) body.push(encodeTime(this.#time));
    return body;
  }
}

/** @throws StoreError if the checkpoint is damaged, of another store, or of a newer version */
export function decodeCheckpoint(path: string, buffer: Buffer, storeId: string): Checkpoint {
  const header = decodeFileHeader(Magic.checkpoint, buffer, path, storeId);
  if (header === undefined) throw damaged(path, 0, 'the header of the checkpoint is not whole');
  const { version } = header;
  const end = buffer.length - 4;
  if (end >= FILE_HEADER_BYTES && crc32(buffer, FILE_HEADER_BYTES, end) === buffer.readUInt32LE(end)) {
    return { ...decodeBody(new ByteReader(buffer, FILE_HEADER_BYTES, end), version), foreignBytes: 0 };
  }
  const checkpoint = decodeBeforeForeign(buffer, version);
  if (checkpoint === undefined) throw damaged(path, FILE_HEADER_BYTES, 'the CRC of the checkpoint is wrong');
  return checkpoint;
}

/** Finds the end of a checkpoint with appended bytes: its CRC is right there, and its body ends just there. */
function decodeBeforeForeign(buffer: Buffer, version: number): Checkpoint | undefined {
  let crc = 0;
  for (let end = FILE_HEADER_BYTES; end + 4 < buffer.length; end++) {
    if (end > FILE_HEADER_BYTES && crc === buffer.readUInt32LE(end)) {
      const r = new ByteReader(buffer, FILE_HEADER_BYTES, end);
      try {
        const body = decodeBody(r, version);
        // A checkpoint that was written over reserved room may end in zeros.
        if (buffer.subarray(r.pos, end).every((byte) => byte === 0))
          return { ...body, foreignBytes: buffer.length - end - 4 };
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
    }
    crc = nextCrc32(crc, buffer[end]);
  }
  return undefined;
}

function decodeBody(r: ByteReader, version: number): Omit<Checkpoint, 'foreignBytes'> {
  const position = { epoch: r.varint(), number: r.varint(), offset: r.varint(), nextIndex: r.varint() };
  const ids = {
    newestNs: r.u64(),
    nextLogId: r.varint(),
    nextSession: r.varint(),
    nextSubscriptionId: r.varint(),
  };
  const segments = times(r.varint(), () => readNamedSegment(r, version));
  const hasBodies = version >= 3;
  const bodies = hasBodies ? times(r.varint(), () => readNamedBody(r)) : [];
  const channels = times(r.varint(), () => readChannel(r, hasBodies));
  const clients = times(r.varint(), () => readClient(r));
  const subscriptions = times(r.varint(), () => {
    const record = readSubscription(r);
    return { record, pending: expandRanges(readRanges(r)) };
  });
  // Older checkpoints have no recent guids.
  const recentGuids = r.done ? [] : times(r.varint(), () => readGuids(r, version));
  const time = r.done ? undefined : readTime(r);
  return { position, ...ids, time, segments, bodies, channels, clients, subscriptions, recentGuids };
}

function readNamedSegment(r: ByteReader, version: number): NamedSegment {
  const id = { epoch: r.varint(), number: r.varint() };
  if (version === 1) return { ...id, file: undefined };
  const file = { bytes: r.varint(), footerCrc: r.u32() };
  return { ...id, file: file.bytes === 0 ? undefined : file };
}

function readNamedBody(r: ByteReader): NamedBody {
  return { epoch: r.varint(), number: r.varint(), end: r.varint(), salt: r.u32() };
}

function readGuids(r: ByteReader, version: number): GuidRun {
  const ms = r.f64();
  return version < 3 ? packGuids(ms, r.bytes()) : { ms, count: r.varint(), packed: r.bytes() };
}

function encodeTime({ leadMs, gaps }: SavedTime): Buffer {
  const w = new ByteWriter(64);
  w.f64(leadMs);
  w.varint(gaps.length);
  for (const { fromMs, toMs } of gaps) {
    w.f64(fromMs);
    w.f64(toMs);
  }
  return w.written();
}

/** @returns undefined if there is none: then zeros follow, which fill up the file */
function readTime(r: ByteReader): SavedTime | undefined {
  const time = { leadMs: r.f64(), gaps: times(r.varint(), () => ({ fromMs: r.f64(), toMs: r.f64() })) };
  return time.leadMs === 0 && time.gaps.length === 0 ? undefined : time;
}

function readChannel(r: ByteReader, hasBodies: boolean): CheckpointChannel {
  const channel: CheckpointChannel = {
    id: r.varint(),
    name: r.string(),
    firstSequence: r.varint(),
    lastSequence: r.varint(),
    byteCount: r.varint(),
    lastActivityMs: r.f64(),
    extentsFirst: 0,
    extents: [],
  };
  const extents = r.varint();
  if (extents > 0) channel.extentsFirst = r.varint();
  for (let i = 0; i < extents; i++) {
    const extent = {
      segment: r.varint(),
      count: r.varint(),
      offset: r.varint(),
      recordBytes: r.varint(),
    };
    const body = hasBodies ? r.varint() : 0;
    channel.extents.push({ ...extent, body: body === 0 ? undefined : body - 1 });
  }
  return channel;
}

function times<T>(count: number, make: () => T): T[] {
  const all: T[] = [];
  for (let i = 0; i < count; i++) all.push(make());
  return all;
}

export function expandRanges(ranges: SequenceRanges): number[] {
  const sequences: number[] = [];
  for (let i = 0; i < ranges.length; i += 2) {
    for (let sequence = ranges[i]; sequence <= ranges[i + 1]; sequence++) sequences.push(sequence);
  }
  return sequences;
}
