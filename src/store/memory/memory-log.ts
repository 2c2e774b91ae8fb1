import type { Drops } from '../../measures/measures.js';
import {
  encodeMsgProto,
  encodeTimestamp,
  MAX_TIMESTAMP_SIZE,
  maxMsgProtoSize,
  readMsgProtoTimestampNs,
} from '../../protocol/msgproto.js';
import type { PubMsgView } from '../../protocol/pubmsg.js';
import { must } from '../../util/assert.js';
import type { Ageing, AgeQueue } from '../log/age-queue.js';
import type { ChannelLog, LogLimits, MessageRef } from '../types/store.js';
import type { StoreTime } from '../types/store-time.js';
import { Chunk, type ChunkPool, chunkBytes } from './chunk.js';

/** What the logs of a memory store share. */
export interface MemoryLogParts {
  readonly time: StoreTime;
  readonly ages: AgeQueue;
  readonly chunks: ChunkPool;
  readonly drops: Drops;
  /** Opens the batch if need be: takes its timestamp. */
  gather(): void;
}

/** A channel's messages, in memory alone: a queue of chunks. */
export class MemoryLog implements ChannelLog, Ageing {
  readonly id: number;
  readonly name: string;
  firstSequence = 1;
  lastSequence = 0;
  byteCount = 0;
  lastActivityMs: number;
  /** What the newest message bears. */
  #lastStampNs = 0n;
  ageQueueIndex = -1;
  ageQueueKeyMs = 0;
  #maxMessages = Number.POSITIVE_INFINITY;
  #maxBytes = Number.POSITIVE_INFINITY;
  #maxAgeMs = Number.POSITIVE_INFINITY;
  #chunks: Chunk[] = [];
  /** Chunks before it are gone; the array is cut now and then. */
  #firstChunk = 0;
  /** Where `find` found last. */
  #found: Chunk | undefined;
  readonly #parts: MemoryLogParts;

  constructor(parts: MemoryLogParts, id: number, name: string, limits: LogLimits, nowMs: number) {
    this.#parts = parts;
    this.id = id;
    this.name = name;
    this.lastActivityMs = nowMs;
    this.setLimits(limits);
  }

  get messageCount(): number {
    return this.lastSequence - this.firstSequence + 1;
  }

  setLimits(limits: LogLimits): void {
    this.#maxMessages = limits.maxMessages || Number.POSITIVE_INFINITY;
    this.#maxBytes = limits.maxBytes || Number.POSITIVE_INFINITY;
    this.#maxAgeMs = limits.maxAgeMs || Number.POSITIVE_INFINITY;
    this.#prune();
    this.#parts.ages.remove(this);
    this.#parts.ages.add(this);
  }

  append(message: PubMsgView, _session: number): number {
    this.#parts.gather();
    const time = this.#parts.time;
    const sequence = this.lastSequence + 1;
    const size = maxMsgProtoSize(message);
    let chunk = this.#chunks[this.#chunks.length - 1];
    if (chunk === undefined || chunk.room < size) {
      chunk = this.#parts.chunks.take(chunkBytes(this.byteCount, size), sequence);
      this.#chunks.push(chunk);
    }
    let { varint, varintLength, shiftNs } = time;
    if (time.isBehind && time.stampNs < this.#lastStampNs) {
      varint = LAST_STAMP;
      varintLength = encodeTimestamp(varint, 0, this.#lastStampNs);
      shiftNs = time.ns - this.#lastStampNs;
    } else {
      this.#lastStampNs = time.stampNs;
      this.lastActivityMs = time.stampMs;
    }
    chunk.shift(shiftNs);
    const start = chunk.used;
    const end = encodeMsgProto(chunk.buffer, start, sequence, varint, varintLength, message);
    chunk.added(end);
    this.byteCount += end - start;
    this.lastSequence = sequence;
    if (sequence - this.firstSequence >= this.#maxMessages || this.byteCount > this.#maxBytes) this.#prune();
    if (this.ageQueueIndex < 0 && this.#maxAgeMs !== Number.POSITIVE_INFINITY) this.#parts.ages.add(this);
    return sequence;
  }

  find(sequence: number, ref: MessageRef): boolean {
    const chunk = this.#chunkOf(sequence);
    if (chunk === undefined) return false;
    const index = sequence - chunk.firstSequence;
    ref.buffer = chunk.buffer;
    ref.start = chunk.start(index);
    ref.end = chunk.end(index);
    return true;
  }

  async load(_sequence: number): Promise<void> {}

  get newestMessage(): number {
    return this.lastSequence;
  }

  skipLost(sequence: number): number {
    return sequence;
  }

  async sequenceAtTime(sinceNs: bigint): Promise<number> {
    const timestampNs = this.#parts.time.storedNs(sinceNs);
    let low = this.firstSequence;
    let high = this.lastSequence + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.#timestampNs(middle) < timestampNs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  headExpiresAtMs(): number {
    if (this.#maxAgeMs === Number.POSITIVE_INFINITY || this.messageCount === 0)
      return Number.POSITIVE_INFINITY;
    const storedMs = Number(this.#timestampNs(this.firstSequence) / 1_000_000n);
    return this.#parts.time.sinceMs(storedMs) + this.#maxAgeMs;
  }

  dropExpired(nowMs: number, max: number): void {
    for (let left = max; left > 0 && this.headExpiresAtMs() <= nowMs; left--) {
      this.#parts.drops.age++;
      this.#dropHead();
    }
  }

  expire(): boolean {
    if (this.#maxAgeMs === Number.POSITIVE_INFINITY) return true;
    const { ages, time } = this.#parts;
    time.look();
    return ages.dropExpiredOf(this, time.nowMs);
  }

  #chunkOf(sequence: number): Chunk | undefined {
    if (sequence < this.firstSequence || sequence > this.lastSequence) return undefined;
    const found = this.#found;
    if (
      found !== undefined &&
      sequence >= found.firstSequence &&
      sequence < found.firstSequence + found.count
    ) {
      return found;
    }
    const chunks = this.#chunks;
    let low = this.#firstChunk;
    let high = chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (must(chunks[middle], 'the middle lies between the ends').firstSequence <= sequence) low = middle;
      else high = middle - 1;
    }
    this.#found = chunks[low];
    return this.#found;
  }

  /** The store's own. */
  #timestampNs(sequence: number): bigint {
    const chunk = must(this.#chunkOf(sequence), 'a chunk has each message that is there');
    const index = sequence - chunk.firstSequence;
    const stampNs = readMsgProtoTimestampNs(chunk.buffer, chunk.start(index), chunk.end(index));
    return stampNs + chunk.shiftNs(index);
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
    const chunk = must(this.#chunks[this.#firstChunk], 'a chunk has the oldest message');
    const index = this.firstSequence - chunk.firstSequence;
    this.byteCount -= chunk.end(index) - chunk.start(index);
    this.firstSequence++;
    if (index + 1 < chunk.count) return;
    if (this.#found === chunk) this.#found = undefined;
    this.#parts.chunks.give(chunk);
    // Let go of the memory now, and of the slot when half of the slots are empty.
    this.#firstChunk++;
    if (this.#firstChunk * 2 >= this.#chunks.length) {
      this.#chunks = this.#chunks.slice(this.#firstChunk);
      this.#firstChunk = 0;
    } else this.#chunks[this.#firstChunk - 1] = NO_CHUNK;
  }
}

const NO_CHUNK = new Chunk(0, 0);
const LAST_STAMP = Buffer.alloc(MAX_TIMESTAMP_SIZE);
