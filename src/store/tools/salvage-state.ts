import { GUID_HEADER_BYTES } from '../../dedup/guid-entry.js';
import { type GuidRun, packGuids } from '../../dedup/packed-guids.js';
import type { FileId } from '../../files/file-names.js';
import {
  decodeMsgProtoView,
  newMsgProtoView,
  readMsgProtoSequence,
  readMsgProtoTimestampNs,
} from '../../protocol/msgproto.js';
import { must } from '../../util/assert.js';
import { ClientState } from '../file/client-state.js';
import { ByteReader } from '../format/bytes.js';
import type { Checkpoint } from '../format/checkpoint-format.js';
import {
  MESSAGE_HEADER_BYTES,
  messageChannelId,
  msgProtoStart,
  RECORD_HEADER_BYTES,
  RecordType,
  readU32,
} from '../format/record.js';
import type { SavedTime } from '../types/store-time.js';
import type { LostStretch, SalvageSink } from './salvage-journal.js';

/** A message of a journal. */
export interface JournalMessage {
  buffer: Buffer;
  start: number;
  end: number;
  timestampMs: number;
  /** The epoch of the term that wrote it. */
  epoch: number;
}

/** Consecutive messages of a channel: in a segment, from journals, or lost. */
export type Piece =
  | {
      kind: 'extent';
      first: number;
      last: number;
      segment: FileId;
      offset: number;
      recordBytes: number;
      /** The journal file that the records are in; undefined if they are in the segment. */
      body: FileId | undefined;
    }
  | { kind: 'messages'; first: number; last: number; messages: JournalMessage[] }
  | { kind: 'gap'; first: number; last: number };

export interface SalvagedChannel {
  id: number;
  name: string;
  firstSequence: number;
  lastSequence: number;
  lastActivityMs: number;
  /** The pieces in order. A gap is a piece too. */
  pieces: Piece[];
  /** Messages that may have been lost behind `lastSequence`, and how many at most. */
  doubt: { stretch: LostStretch; messages: number } | undefined;
}

/** Messages that are certainly lost. */
export interface LostMessages {
  channel: string;
  first: number;
  last: number;
  path: string;
  offset: number;
  /** The damaged stretch. */
  bytes: number;
  what: string;
}

/** Messages that may have been the newest of their channel, and lost. Their number is unknown; their sequences are not used again. */
export interface DoubtfulMessages extends LostMessages {}

/** Limit of recent guids from journals, as in a checkpoint. */
const MAX_GUIDS = 65_536;

/** The state of a store, as far as it can be saved. */
export class SalvageState extends ClientState implements SalvageSink {
  readonly channels = new Map<number, SalvagedChannel>();
  readonly guidRuns: GuidRun[] = [];
  nextLogId = 1;
  newestNs = 0n;
  time: SavedTime | undefined;
  readonly lostMessages: LostMessages[] = [];
  readonly doubtful: DoubtfulMessages[] = [];
  /** All damage, also that which lost nothing. */
  readonly damages: { path: string; offset: number; what: string }[] = [];
  /** Other losses, for people. */
  readonly also: string[] = [];
  isCheckpointLost = false;
  /** The epoch of the current journal. */
  epoch = 0;
  readonly #deleted = new Set<number>();
  #isStateLost = false;
  readonly #guids: { ms: number; entries: Buffer[] }[] = [];
  #newest: LostStretch | undefined;

  load(checkpoint: Checkpoint): void {
    this.nextLogId = checkpoint.nextLogId;
    this.loadClients(checkpoint);
    this.newestNs = checkpoint.newestNs;
    this.time = checkpoint.time;
    for (const { extents, extentsFirst, ...channel } of checkpoint.channels) {
      let first = extentsFirst;
      const pieces = extents.map(({ segment, body, count, offset, recordBytes }): Piece => {
        const last = first + count - 1;
        const piece: Piece =
          recordBytes === 0
            ? { kind: 'gap', first, last }
            : {
                ...{ kind: 'extent', first, last, offset, recordBytes },
                segment: checkpoint.segments[segment],
                body: body === undefined ? undefined : checkpoint.bodies[body],
              };
        first = last + 1;
        return piece;
      });
      this.channels.set(channel.id, { ...channel, pieces, doubt: undefined });
    }
    this.guidRuns.push(...checkpoint.recentGuids);
  }

  mended(path: string, offset: number, what: string): void {
    this.damages.push({ path, offset, what });
  }

  record(buffer: Buffer, start: number, end: number, timestampNs: bigint | undefined): void {
    if (buffer[start + 8] === RecordType.message) {
      this.#message(buffer, start, end, timestampNs);
      return;
    }
    if (timestampNs !== undefined && timestampNs > this.newestNs) this.newestNs = timestampNs;
    this.#other(buffer[start + 8], new ByteReader(buffer, start + RECORD_HEADER_BYTES, end));
  }

  lost(stretch: LostStretch): void {
    const { path, offset, what, maxRecords, maxMessages } = stretch;
    this.damages.push({ path, offset, what });
    this.#newest = stretch;
    this.nextLogId += maxRecords;
    this.nextSession += maxRecords;
    this.nextSubscriptionId += maxRecords;
    const known = this.#channelOf(stretch.record);
    if (known !== undefined) {
      const { channel, sequence } = known;
      this.#addGap(channel, channel.lastSequence + 1, sequence);
      return;
    }
    this.#isStateLost = true;
    const type = stretch.record?.[RECORD_HEADER_BYTES - 1] ?? 0;
    // It was almost certainly no message: nothing in it looks like one, and its type is another.
    if (type > RecordType.message && type <= RecordType.term) return;
    for (const channel of this.channels.values()) {
      channel.doubt = { stretch, messages: (channel.doubt?.messages ?? 0) + maxMessages };
    }
  }

  /** Ends the reading of journals. */
  finish(): void {
    let room = MAX_GUIDS;
    const runs: GuidRun[] = [];
    for (const { ms, entries } of this.#guids.reverse()) {
      room -= entries.length;
      if (room < 0) break;
      runs.push(packGuids(ms, Buffer.concat(entries)));
    }
    this.guidRuns.push(...runs.reverse());
    if (this.#isStateLost) {
      this.also.push(
        'what the damaged records of a journal told beside messages of known channels: a channel that was made just then, with all that is in it; ' +
          'who connected or subscribed just then has to do so again; what was acknowledged just then is delivered again; what was unsubscribed or deleted just then may be there again',
      );
    }
    const known = new Map<number, number>();
    for (const [id, { record }] of this.subscriptions) {
      if (!this.channels.has(record.channelId)) {
        this.subscriptions.delete(id);
        this.also.push(
          `a subscription of channel id ${record.channelId}, which is not known: client "${record.clientId}", durable "${record.durableName || record.queueGroup}"`,
        );
      } else known.set(record.channelId, Math.max(known.get(record.channelId) ?? 0, record.lastSent));
    }
    for (const channel of this.channels.values()) {
      // A delivered message was in the channel.
      const delivered = known.get(channel.id) ?? 0;
      if (delivered > channel.lastSequence) this.#addGap(channel, channel.lastSequence + 1, delivered);
      if (channel.doubt === undefined) continue;
      const { stretch, messages } = channel.doubt;
      const first = channel.lastSequence + 1;
      const last = channel.lastSequence + messages;
      channel.pieces.push({ kind: 'gap', first, last });
      channel.lastSequence = last;
      this.doubtful.push(lostOf(channel, first, last, stretch));
    }
  }

  /**
   * Identifies the message of a damaged record: two of channel id, sequence and channel name must agree with each other and with the
   * next expected message.
   */
  #channelOf(record: Buffer | undefined): { channel: SalvagedChannel; sequence: number } | undefined {
    if (record === undefined || record.length <= MESSAGE_HEADER_BYTES) return undefined;
    const start = msgProtoStart(record, 0);
    const said = start < record.length ? readMsgProtoSequence(record, start, record.length) : 0;
    const isNext = (channel: SalvagedChannel): boolean =>
      said > channel.lastSequence && said <= channel.lastSequence + 1 + (channel.doubt?.messages ?? 0);
    const byId = this.channels.get(messageChannelId(record, 0));
    const subject = subjectOf(record, start, record.length);
    const bySubject = [...this.channels.values()].find(({ name }) => name === subject);
    if (byId !== undefined && byId === bySubject) {
      if (isNext(byId)) return { channel: byId, sequence: said };
      // The damage is in the sequence.
      return byId.doubt === undefined ? { channel: byId, sequence: byId.lastSequence + 1 } : undefined;
    }
    const [channel, ...others] = [byId, bySubject].filter((one) => one !== undefined && isNext(one));
    return channel === undefined || others.length > 0 ? undefined : { channel, sequence: said };
  }

  #message(buffer: Buffer, start: number, end: number, timestampNs: bigint | undefined): void {
    const id = messageChannelId(buffer, start);
    const protoStart = msgProtoStart(buffer, start);
    const sequence = readMsgProtoSequence(buffer, protoStart, end);
    const stampNs = readMsgProtoTimestampNs(buffer, protoStart, end);
    const channel = this.channels.get(id) ?? this.#unknownChannel(id, buffer, protoStart, end, sequence);
    if (channel === undefined) return;
    if (timestampNs !== undefined && timestampNs > this.newestNs) this.newestNs = timestampNs;
    const session = readU32(buffer, start + 13);
    this.sawSession(session);
    // The message is from a replaced term, whose successor's message counts, or it is known already.
    if (sequence <= channel.lastSequence && !this.#withdraw(channel, sequence)) return;
    if (sequence > channel.lastSequence + 1) this.#addGap(channel, channel.lastSequence + 1, sequence - 1);
    // If the header of its batch is lost, the time of the batch before is close enough.
    const timestampMs = Number((timestampNs ?? (this.newestNs || stampNs)) / 1_000_000n);
    const message = { buffer, start, end, timestampMs, epoch: this.epoch };
    this.#addGuid(message, protoStart, session);
    const newest = channel.pieces.at(-1);
    if (newest?.kind === 'messages') {
      newest.messages.push(message);
      newest.last = sequence;
    } else channel.pieces.push({ kind: 'messages', first: sequence, last: sequence, messages: [message] });
    channel.lastSequence = sequence;
    channel.lastActivityMs = Number(stampNs / 1_000_000n);
    channel.doubt = undefined;
  }

  /** Adds the guid of a message to the recent guids, which have a run for each time, as in a checkpoint. */
  #addGuid({ buffer, start, timestampMs }: JournalMessage, guidEnd: number, session: number): void {
    const guidStart = start + MESSAGE_HEADER_BYTES;
    if (guidStart === guidEnd) return;
    const entry = Buffer.alloc(GUID_HEADER_BYTES + guidEnd - guidStart);
    entry.writeUInt32LE(messageChannelId(buffer, start), 0);
    entry.writeUInt32LE(session, 4);
    entry[8] = guidEnd - guidStart;
    buffer.copy(entry, GUID_HEADER_BYTES, guidStart, guidEnd);
    const newest = this.#guids.at(-1);
    if (newest?.ms === timestampMs) newest.entries.push(entry);
    else this.#guids.push({ ms: timestampMs, entries: [entry] });
  }

  /** Makes a channel whose record of creation is lost, with the name in the message. */
  #unknownChannel(
    id: number,
    buffer: Buffer,
    start: number,
    end: number,
    sequence: number,
  ): SalvagedChannel | undefined {
    const name = subjectOf(buffer, start, end);
    if (name === undefined || this.#deleted.has(id)) return undefined;
    return this.addChannel(id, name, sequence, 0);
  }

  addChannel(id: number, name: string, firstSequence: number, createdMs: number): SalvagedChannel {
    for (const other of this.channels.values()) {
      if (other.name !== name || other.id === id) continue;
      // The record of the channel's deletion is lost.
      this.channels.delete(other.id);
      this.#deleted.add(other.id);
    }
    const channel: SalvagedChannel = {
      ...{ id, name, firstSequence, lastSequence: firstSequence - 1, lastActivityMs: createdMs },
      ...{ pieces: [], doubt: undefined },
    };
    this.channels.set(id, channel);
    this.nextLogId = Math.max(this.nextLogId, id + 1);
    return channel;
  }

  /** Withdraws messages of replaced terms, from `sequence` on. @returns whether the channel now ends before `sequence` */
  #withdraw(channel: SalvagedChannel, sequence: number): boolean {
    while (channel.lastSequence >= sequence) {
      const newest = channel.pieces.at(-1);
      if (
        newest?.kind !== 'messages' ||
        must(newest.messages.at(-1), 'a piece of messages is not empty').epoch >= this.epoch
      )
        return false;
      newest.messages.pop();
      newest.last--;
      if (newest.messages.length === 0) channel.pieces.pop();
      channel.lastSequence--;
    }
    return true;
  }

  #addGap(channel: SalvagedChannel, first: number, last: number): void {
    const newest = channel.pieces.at(-1);
    if (newest?.kind === 'gap') newest.last = last;
    else channel.pieces.push({ kind: 'gap', first, last });
    channel.lastSequence = last;
    channel.doubt = undefined;
    this.lose(lostOf(channel, first, last, this.#newest));
  }

  /** Adds a message of a segment that is in no checkpoint. */
  seen(channelId: number, timestampMs: number, stampNs: bigint, session: number): void {
    const channel = this.channels.get(channelId);
    const timestampNs = BigInt(timestampMs) * 1_000_000n;
    if (timestampNs > this.newestNs) this.newestNs = timestampNs;
    this.sawSession(session);
    if (channel !== undefined)
      channel.lastActivityMs = Math.max(channel.lastActivityMs, Number(stampNs / 1_000_000n));
  }

  lose(messages: LostMessages): void {
    const before = this.lostMessages.at(-1);
    const isNext = before?.channel === messages.channel && before.last === messages.first - 1;
    if (isNext && before.path === messages.path) {
      before.last = messages.last;
      before.bytes += before.offset === messages.offset ? 0 : messages.bytes;
    } else this.lostMessages.push(messages);
  }

  #other(type: number, r: ByteReader): void {
    switch (type) {
      case RecordType.channelCreated: {
        const id = r.u32();
        const createdMs = r.f64();
        if (!this.channels.has(id)) this.addChannel(id, r.string(), 1, createdMs);
        return;
      }
      case RecordType.channelDeleted: {
        const id = r.u32();
        this.channels.delete(id);
        this.#deleted.add(id);
        return;
      }
      case RecordType.bounds: {
        const channel = this.channels.get(r.u32());
        const first = r.varint();
        if (channel !== undefined)
          channel.firstSequence = Math.max(channel.firstSequence, Math.min(first, channel.lastSequence + 1));
        return;
      }
      default:
        this.applyClient(type, r);
    }
  }
}

const NOWHERE: Pick<LostStretch, 'path' | 'offset' | 'bytes' | 'what'> = {
  ...{ path: '', offset: 0, bytes: 0, what: 'no file holds them' },
};

function lostOf(
  { name }: SalvagedChannel,
  first: number,
  last: number,
  { path, offset, bytes, what }: Pick<LostStretch, 'path' | 'offset' | 'bytes' | 'what'> = NOWHERE,
): LostMessages {
  return { channel: name, first, last, path, offset, bytes, what };
}

const SCRATCH = newMsgProtoView();

export function subjectOf(buffer: Buffer, start: number, end: number): string | undefined {
  if (!decodeMsgProtoView(buffer, start, end, SCRATCH) || SCRATCH.subjectEnd === SCRATCH.subjectStart)
    return undefined;
  return buffer.toString('utf8', SCRATCH.subjectStart, SCRATCH.subjectEnd);
}
