import { isMissing, StoreError } from '../../files/store-error.js';
import {
  encodeMsgProto,
  encodeTimestamp,
  MAX_TIMESTAMP_SIZE,
  maxMsgProtoSize,
  readMsgProtoTimestampNs,
} from '../../protocol/msgproto.js';
import type { PubMsgView } from '../../protocol/pubmsg.js';
import { assert } from '../../util/assert.js';
import { copyBytes } from '../../util/copy-bytes.js';
import {
  MAX_GUID_BYTES,
  MESSAGE_HEADER_BYTES,
  msgProtoStart,
  RecordType,
  recordEnd,
  sealRecord,
  writeU32,
} from '../format/record.js';
import { readTimestampMs } from '../segments/head-rows.js';
import { type Extent, extentIndex } from '../segments/segment.js';
import type { ChannelLog, LogLimits, MessageRef } from '../types/store.js';
import type { Ageing } from './age-queue.js';
import { DiskHead, type HeadedLog } from './disk-head.js';
import { LoadedMessages, type LoadingLog } from './loaded-messages.js';
import type { LogParts, LogState } from './log-parts.js';
import { MessageTable } from './message-table.js';
import { firstAt, type TimedLog } from './time-search.js';

/**
 * A channel's messages: the newest in the journal's blocks, older ones in extents of segments. Extents end where
 * `flushedThrough` says; a checkpoint moves it on.
 */
export class FileLog implements ChannelLog, Ageing, LoadingLog, TimedLog, HeadedLog {
  readonly id: number;
  readonly name: string;
  firstSequence: number;
  lastSequence: number;
  byteCount: number;
  lastActivityMs: number;
  /** The newest message bears no later time than this. */
  #lastStampNs: bigint;
  ageQueueIndex = -1;
  ageQueueKeyMs = 0;
  /** Messages up to it are in extents. */
  flushedThrough: number;
  /** Oldest first, without gaps, ending at `flushedThrough`. */
  extents: Extent[] = [];
  /** Whether `firstSequence` has been recorded since it moved. */
  isHeadRecorded = true;
  isDeleted = false;
  /** Messages from `firstSequence` on that are lost: those of the gaps among `extents`. */
  lostCount = 0;
  #maxMessages = Number.POSITIVE_INFINITY;
  #maxBytes = Number.POSITIVE_INFINITY;
  #maxAgeMs = Number.POSITIVE_INFINITY;
  readonly #table: MessageTable;
  #diskHead: DiskHead | undefined;
  #loaded: LoadedMessages | undefined;
  readonly #parts: LogParts;

  constructor(parts: LogParts, state: LogState) {
    this.#parts = parts;
    this.id = state.id;
    this.name = state.name;
    this.firstSequence = state.firstSequence;
    this.lastSequence = state.lastSequence;
    this.byteCount = state.byteCount;
    this.lastActivityMs = state.lastActivityMs;
    // To the millisecond it is on record.
    this.#lastStampNs =
      state.lastSequence === 0 ? 0n : BigInt(Math.trunc(state.lastActivityMs)) * 1_000_000n + 999_999n;
    this.flushedThrough = state.lastSequence;
    this.#table = new MessageTable(state.lastSequence + 1);
  }

  get messageCount(): number {
    return this.lastSequence - this.firstSequence + 1 - this.lostCount;
  }

  get newestMessage(): number {
    const newest = this.extents.at(-1);
    return newest?.isGap && newest.last === this.lastSequence ? newest.first - 1 : this.lastSequence;
  }

  skipLost(sequence: number): number {
    if (this.lostCount === 0) return sequence;
    const extent = this.extents[extentIndex(this.extents, sequence)];
    return extent?.isGap ? extent.last + 1 : sequence;
  }

  setLimits(limits: LogLimits): void {
    this.#maxMessages = limits.maxMessages || Number.POSITIVE_INFINITY;
    this.#maxBytes = limits.maxBytes || Number.POSITIVE_INFINITY;
    this.#maxAgeMs = limits.maxAgeMs || Number.POSITIVE_INFINITY;
    this.#prune();
    this.#parts.ages.remove(this);
    this.#parts.ages.add(this);
  }

  append(message: PubMsgView, session: number): number {
    const parts = this.#parts;
    const sequence = this.lastSequence + 1;
    let guidBytes = message.guidEnd - message.guidStart;
    if (guidBytes > MAX_GUID_BYTES) guidBytes = 0;
    const { gathering } = parts;
    const block = gathering.reserve(MESSAGE_HEADER_BYTES + guidBytes + maxMsgProtoSize(message));
    const { buffer } = block;
    const start = block.used;
    buffer[start + 8] = RecordType.message;
    writeU32(buffer, start + 9, this.id);
    writeU32(buffer, start + 13, session);
    buffer[start + 17] = guidBytes;
    const { guidStart } = message;
    const pos = copyBytes(
      buffer,
      start + MESSAGE_HEADER_BYTES,
      message.buffer,
      guidStart,
      guidStart + guidBytes,
    );
    const { time } = parts;
    let { varint, varintLength, stampMs } = time;
    if (time.isBehind && time.stampNs < this.#lastStampNs) {
      varint = LAST_STAMP;
      varintLength = encodeTimestamp(varint, 0, this.#lastStampNs);
      stampMs = this.lastActivityMs;
    } else this.#lastStampNs = time.stampNs;
    const end = encodeMsgProto(buffer, pos, sequence, varint, varintLength, message);
    sealRecord(buffer, start, end);
    block.used = end;
    gathering.messages++;
    this.added(block.id, start, end - pos, stampMs);
    if (
      sequence - this.firstSequence - this.lostCount >= this.#maxMessages ||
      this.byteCount > this.#maxBytes
    ) {
      this.#prune();
    }
    if (this.ageQueueIndex < 0 && this.#maxAgeMs !== Number.POSITIVE_INFINITY) parts.ages.add(this);
    return sequence;
  }

  /** The next message is at this place in a block: appended just now, or found by recovery. It bears the time `stampMs`. */
  added(blockId: number, offset: number, messageBytes: number, stampMs: number): void {
    const table = this.#table;
    if (table.isFull) this.#trimTable();
    table.push(blockId, offset);
    this.lastSequence++;
    this.byteCount += messageBytes;
    this.lastActivityMs = stampMs;
  }

  /** Recovery knows the store's own time of the newest message; here is what that bears. @returns it, nanoseconds since 1970 */
  recoverLastStamp(): bigint {
    if (this.lastSequence > this.flushedThrough && this.find(this.lastSequence, SCRATCH)) {
      const stampNs = readMsgProtoTimestampNs(SCRATCH.buffer, SCRATCH.start, SCRATCH.end);
      this.#lastStampNs = stampNs;
      this.lastActivityMs = Number(stampNs / 1_000_000n);
    }
    return this.#lastStampNs;
  }

  find(sequence: number, ref: MessageRef): boolean {
    if (sequence < this.firstSequence || sequence > this.lastSequence) return false;
    const index = sequence - this.#table.first;
    if (index >= 0) {
      const block = this.#parts.blocks.get(this.#table.blockId(index));
      if (block !== undefined) {
        const start = this.#table.offset(index);
        ref.buffer = block.buffer;
        ref.start = msgProtoStart(block.buffer, start);
        ref.end = recordEnd(block.buffer, start);
        return true;
      }
    }
    return this.#loaded?.find(sequence, ref) ?? false;
  }

  load(sequence: number): Promise<void> {
    if (sequence < this.firstSequence || sequence > this.flushedThrough) return Promise.resolve();
    return this.#loading().load(sequence);
  }

  async sequenceAtTime(sinceNs: bigint): Promise<number> {
    return await firstAt(this, this.#parts.time.storedNs(sinceNs));
  }

  headExpiresAtMs(): number {
    if (this.#maxAgeMs === Number.POSITIVE_INFINITY || this.messageCount === 0)
      return Number.POSITIVE_INFINITY;
    return this.#parts.time.sinceMs(this.#headTimestampMs()) + this.#maxAgeMs;
  }

  dropExpired(nowMs: number, max: number): void {
    for (let left = max; left > 0 && this.headExpiresAtMs() <= nowMs; left--) {
      this.#parts.drops.age++;
      this.#dropHead();
    }
  }

  expire(): boolean {
    if (this.isDeleted || this.#maxAgeMs === Number.POSITIVE_INFINITY) return true;
    const { ages, time } = this.#parts;
    time.look();
    return ages.dropExpiredOf(this, time.nowMs);
  }

  /** Recovery found that this is the oldest. */
  dropBefore(sequence: number): void {
    while (this.firstSequence < sequence && this.messageCount > 0) this.#dropHead();
  }

  /** Block of a message not yet in an extent. */
  blockIdOf(sequence: number): number {
    return this.#table.blockId(sequence - this.#table.first);
  }

  /** Where in its block its record begins. */
  offsetOf(sequence: number): number {
    return this.#table.offset(sequence - this.#table.first);
  }

  /** Messages up to the last of `extents` are in a durable segment. */
  flushed(extents: readonly Extent[]): void {
    for (const extent of extents) {
      assert(extent.first > this.flushedThrough, 'a message is in one extent');
      this.flushedThrough = extent.last;
      if (extent.last < this.firstSequence) continue;
      this.extents.push(extent);
      this.#parts.segments.refer(extent);
    }
  }

  /** A merge has rewritten extents: those of `from` that are still here are now those of `to`. */
  replaceExtents(from: ReadonlySet<Extent>, to: readonly Extent[]): void {
    const kept = this.extents.filter((extent) => !from.has(extent));
    const added = to.filter((extent) => extent.last >= this.firstSequence);
    for (const extent of added) this.#parts.segments.refer(extent);
    for (const extent of this.extents) if (from.has(extent)) this.#release(extent);
    this.extents = [...kept, ...added].sort((a, b) => a.first - b.first);
    let next = this.extents[0]?.first;
    for (const { first, last } of this.extents) {
      assert(first === next, 'after a merge each message is in one extent, as before');
      next = last + 1;
    }
  }

  /** Its channel is gone. */
  release(): void {
    this.isDeleted = true;
    this.#parts.ages.remove(this);
    for (const extent of this.extents) this.#release(extent);
    this.extents = [];
    this.#loaded?.release();
  }

  /** Tries whether these can be read, so that it is known which cannot. */
  probe(first: number, last: number): Promise<void> {
    return this.#loading().probe(first, last);
  }

  #loading(): LoadedMessages {
    this.#loaded ??= new LoadedMessages(this, this.#parts);
    return this.#loaded;
  }

  /** This one, or if it is lost, the one before the gap: a gap is never the oldest. */
  messageUpTo(sequence: number): number {
    if (this.lostCount === 0) return sequence;
    const extent = this.extents[extentIndex(this.extents, sequence)];
    return extent?.isGap ? extent.first - 1 : sequence;
  }

  /** The time of the message that `messageUpTo` finds; `undefined` if a limit has dropped it meanwhile. */
  async timestampMs(middle: number): Promise<number | undefined> {
    for (let attempt = 1; ; attempt++) {
      const sequence = this.messageUpTo(middle);
      if (sequence < this.firstSequence) return undefined;
      const inMemory = this.timestampInMemory(sequence);
      if (inMemory !== undefined) return inMemory;
      const extent = this.extents[extentIndex(this.extents, sequence)];
      if (extent === undefined)
        throw new StoreError('damaged', `No file holds message ${sequence} of channel ${this.name}`);
      try {
        return await readTimestampMs(this.#parts.segments.blobs, extent, sequence);
      } catch (error) {
        if (!isMissing(error) || attempt === 3) throw error;
      }
    }
  }

  /** The store's own time of a message that is in memory, ms since 1970. */
  timestampInMemory(sequence: number): number | undefined {
    const index = sequence - this.#table.first;
    if (index < 0) return undefined;
    return this.#parts.blocks.get(this.#table.blockId(index))?.timestampMs(this.#table.offset(index));
  }

  #headTimestampMs(): number {
    return this.timestampInMemory(this.firstSequence) ?? this.#onDisk().timestampMs();
  }

  #headBytes(): number {
    const index = this.firstSequence - this.#table.first;
    const block = index < 0 ? undefined : this.#parts.blocks.get(this.#table.blockId(index));
    if (block === undefined) return this.#onDisk().bytes();
    const start = this.#table.offset(index);
    return recordEnd(block.buffer, start) - msgProtoStart(block.buffer, start);
  }

  #onDisk(): DiskHead {
    this.#diskHead ??= new DiskHead(this, this.#parts);
    return this.#diskHead;
  }

  // The newest message stays even if it alone is over the limit on bytes, as in the Go server.
  #prune(): void {
    while (
      this.messageCount > 1 &&
      (this.messageCount > this.#maxMessages || this.byteCount > this.#maxBytes)
    ) {
      if (this.messageCount > this.#maxMessages) this.#parts.drops.messages++;
      else this.#parts.drops.bytes++;
      this.#dropHead();
    }
  }

  #dropHead(): void {
    assert(this.firstSequence <= this.lastSequence, 'only a message that is there is dropped');
    this.byteCount -= this.#headBytes();
    this.firstSequence++;
    const oldest = this.extents[0];
    if (oldest !== undefined && oldest.last < this.firstSequence) {
      this.extents.shift();
      this.#release(oldest);
      this.#dropGap();
    }
    if (this.firstSequence > this.lastSequence) this.byteCount = 0;
    if (this.isHeadRecorded) this.#parts.movedHeads.add(this);
  }

  /** What is lost goes with what was before it. */
  #dropGap(): void {
    const oldest = this.extents[0];
    if (!oldest?.isGap) return;
    this.extents.shift();
    this.firstSequence = oldest.last + 1;
    this.lostCount -= oldest.count;
  }

  #release(extent: Extent): void {
    if (!extent.isGap) this.#parts.segments.release(extent);
  }

  // What is not in an extent yet stays, dropped or not: a checkpoint may be about to write it.
  #trimTable(): void {
    const table = this.#table;
    const { blocks } = this.#parts;
    const limit = this.flushedThrough - table.first + 1;
    let count = 0;
    while (
      count < limit &&
      (table.first + count < this.firstSequence || table.blockId(count) < blocks.firstId)
    ) {
      count++;
    }
    if (count > 0) table.dropOldest(count);
  }
}

const SCRATCH: MessageRef = { buffer: Buffer.alloc(0), start: 0, end: 0 };
const LAST_STAMP = Buffer.alloc(MAX_TIMESTAMP_SIZE);
