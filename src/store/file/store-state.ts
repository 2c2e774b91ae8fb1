import { journalName, segmentName } from '../../files/file-names.js';
import { damaged, StoreError } from '../../files/store-error.js';
import { JOURNAL_DIRECTORY, SEGMENT_DIRECTORY } from '../../files/store-folder.js';
import { readMsgProtoSequence } from '../../protocol/msgproto.js';
import { ByteReader } from '../format/bytes.js';
import type { Checkpoint } from '../format/checkpoint-format.js';
import {
  messageChannelId,
  msgProtoStart,
  RECORD_HEADER_BYTES,
  RecordType,
  readU32,
} from '../format/record.js';
import { FileLog } from '../log/file-log.js';
import type { LogParts } from '../log/log-parts.js';
import { Body } from '../segments/body.js';
import { Extent, Segment } from '../segments/segment.js';
import type { SavedTime } from '../types/store-time.js';
import { ClientState } from './client-state.js';
import { RecoveredGuids } from './recovered-guids.js';

/** What is in a store, as recovery builds it: a checkpoint, then record after record of the journals behind it. */
export class StoreState extends ClientState {
  readonly logs = new Map<number, FileLog>();
  readonly segments = new Set<Segment>();
  /** Journal files that messages stay in. */
  readonly bodies = new Set<Body>();
  nextLogId = 1;
  newestNs = 0n;
  time: SavedTime | undefined;
  readonly guids = new RecoveredGuids();
  readonly #parts: LogParts;
  #lastLog: FileLog | undefined;

  constructor(parts: LogParts) {
    super();
    this.#parts = parts;
  }

  load(checkpoint: Checkpoint, dir: string): void {
    this.nextLogId = checkpoint.nextLogId;
    this.loadClients(checkpoint);
    this.newestNs = checkpoint.newestNs;
    this.time = checkpoint.time;
    const segments = checkpoint.segments.map(({ file, ...id }) => {
      const segment = new Segment(id, `${dir}/${SEGMENT_DIRECTORY}/${segmentName(id)}`);
      segment.file = file;
      return segment;
    });
    for (const segment of segments) this.segments.add(segment);
    const bodies = checkpoint.bodies.map(({ epoch, number, end, salt }) => {
      const id = { epoch, number };
      return new Body({ id, path: `${dir}/${JOURNAL_DIRECTORY}/${journalName(id)}`, end, salt });
    });
    for (const body of bodies) this.bodies.add(body);
    for (const channel of checkpoint.channels) {
      const log = new FileLog(this.#parts, channel);
      let first = channel.extentsFirst;
      for (const { segment: index, body: bodyIndex, count, offset, recordBytes } of channel.extents) {
        if (recordBytes === 0) {
          log.extents.push(Extent.gap(first, first + count - 1));
          log.lostCount += count;
          first += count;
          continue;
        }
        const segment = segments[index];
        const body = bodyIndex === undefined ? undefined : bodies[bodyIndex];
        if (segment === undefined || (bodyIndex !== undefined && body === undefined))
          throw new StoreError(
            'damaged',
            `The checkpoint names no file for messages of channel ${channel.name}`,
          );
        const extent = new Extent(segment, first, first + count - 1, offset, recordBytes, body);
        first += count;
        log.extents.push(extent);
        segment.has(extent);
        this.#parts.segments.refer(extent);
      }
      this.logs.set(log.id, log);
    }
    this.guids.addRuns(checkpoint.recentGuids);
  }

  /** A record of a journal, its CRC checked. `blockId` is the block that `buffer` is. */
  apply(
    buffer: Buffer,
    start: number,
    end: number,
    blockId: number,
    timestampMs: number,
    path: string,
  ): void {
    if (buffer[start + 8] === RecordType.message) {
      this.#message(buffer, start, end, blockId, timestampMs, path);
      return;
    }
    try {
      this.#other(buffer.readUInt8(start + 8), new ByteReader(buffer, start + RECORD_HEADER_BYTES, end));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw damaged(path, start, error.message);
    }
  }

  #message(
    buffer: Buffer,
    start: number,
    end: number,
    blockId: number,
    timestampMs: number,
    path: string,
  ): void {
    const channelId = messageChannelId(buffer, start);
    let log = this.#lastLog;
    if (log === undefined || log.id !== channelId) {
      log = this.logs.get(channelId);
      this.#lastLog = log;
    }
    const messageStart = msgProtoStart(buffer, start);
    if (log === undefined)
      throw damaged(path, start, `a message of channel ${channelId}, which is not there`);
    if (readMsgProtoSequence(buffer, messageStart, end) !== log.lastSequence + 1) {
      throw damaged(path, start, `message ${log.lastSequence + 1} of channel ${log.name} is due here`);
    }
    this.sawSession(readU32(buffer, start + 13));
    this.guids.messages++;
    log.added(blockId, start, end - messageStart, timestampMs);
  }

  #other(type: number, r: ByteReader): void {
    switch (type) {
      case RecordType.channelCreated: {
        const id = r.u32();
        const createdMs = r.f64();
        this.nextLogId = Math.max(this.nextLogId, id + 1);
        this.logs.set(id, newLog(this.#parts, id, r.string(), createdMs));
        return;
      }
      case RecordType.channelDeleted: {
        const id = r.u32();
        this.logs.get(id)?.release();
        this.logs.delete(id);
        this.#lastLog = undefined;
        return;
      }
      case RecordType.bounds:
        this.logs.get(r.u32())?.dropBefore(r.varint());
        return;
      case RecordType.formerTerm:
      case RecordType.term:
        return;
      default:
        if (!this.applyClient(type, r)) throw new RangeError(`a record of the unknown type ${type}`);
    }
  }
}

/** A log of a channel that has just been created. */
export function newLog(parts: LogParts, id: number, name: string, createdMs: number): FileLog {
  return new FileLog(parts, {
    id,
    name,
    firstSequence: 1,
    lastSequence: 0,
    byteCount: 0,
    lastActivityMs: createdMs,
  });
}
