import { assert, must } from '../util/assert.js';
import { GUID_ENTRY_BYTES, GUID_HEADER_BYTES } from './guid-entry.js';
import { type GuidRun, packGuids } from './packed-guids.js';

/** An id for a channel that does not exist yet. */
export const NO_CHANNEL = 0;
/** A slot has two i32: the hash, and the offset of the entry plus 1, or 0 if it is free. (Larger unsigned numbers would be heap objects.) */
const SLOT_WORDS = 2;
/** A mark is set after this many entries, or after `MARK_MS`. */
const MARK_ENTRIES = 1024;
const MARK_MS = 1000;

/** Where a stretch of entries begins. */
interface Mark {
  /** Of its first entry. */
  ms: number;
  /** How many entries are before it. */
  count: number;
  offset: number;
  /** The stretch as a checkpoint keeps it. It is packed once, and kept for those to come. */
  packed: GuidRun | undefined;
}

/**
 * Guids in the order in which they came, found by session, channel and bytes. The entries are in one buffer, and a hash table has their
 * offsets: open addressing, linear probing, at most half full. No entry is ever removed.
 *
 * The table is updated only by a search: its slots are scattered over memory, and most guids are never searched for.
 */
export class GuidGeneration {
  /** Timestamp of the first entry, in milliseconds since 1970. */
  firstMs = 0;
  count = 0;
  readonly capacity: number;
  readonly #bytes: Buffer;
  readonly #view: DataView;
  #used = 0;
  readonly #seed: number;
  #slots: Int32Array | undefined;
  readonly #mask: number;
  /** The entries before this offset are in the table. */
  #indexed = 0;
  /** The next mark is set at this entry, or at `nextMarkMs`. */
  #nextMarkCount = 0;
  #nextMarkMs = 0;
  /** The free slot at which the last unsuccessful search has ended. */
  #freeSlot = 0;
  readonly #marks: Mark[] = [];

  /**
   * @param capacity limit of entries, a power of 2
   * @param seed seed of the hash
   */
  constructor(capacity: number, seed: number) {
    this.capacity = capacity;
    this.#seed = seed;
    this.#bytes = Buffer.allocUnsafeSlow(capacity * GUID_ENTRY_BYTES);
    this.#view = viewOf(this.#bytes);
    this.#mask = capacity * 2 - 1;
  }

  hasRoom(guidBytes: number): boolean {
    return this.count < this.capacity && this.#used + GUID_HEADER_BYTES + guidBytes <= this.#bytes.length;
  }

  has(
    hash: number,
    session: number,
    channelId: number,
    source: DataView,
    start: number,
    end: number,
  ): boolean {
    const slots = this.#index();
    const mask = this.#mask;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const place = slots[slot * 2 + 1];
      if (place === 0) {
        this.#freeSlot = slot;
        return false;
      }
      if (slots[slot * 2] === hash && this.#isAt(place - 1, session, channelId, source, start, end))
        return true;
    }
  }

  /** Adds a guid that is not here. There must be room. */
  add(session: number, channelId: number, source: DataView, start: number, end: number, ms: number): void {
    const offset = this.#used;
    // A table without a free slot would be searched for ever.
    assert(this.count < this.capacity, 'a generation has room for each guid that is added');
    if (this.count === this.#nextMarkCount || ms >= this.#nextMarkMs) this.#mark(ms, offset);
    const view = this.#view;
    view.setInt32(offset, channelId, true);
    view.setInt32(offset + 4, session, true);
    view.setUint8(offset + 8, end - start);
    let at = offset + GUID_HEADER_BYTES;
    let i = start;
    for (; i + 4 <= end; i += 4, at += 4) view.setInt32(at, source.getInt32(i, true), true);
    for (; i < end; i++) view.setUint8(at++, source.getUint8(i));
    this.#used = at;
    this.count++;
  }

  /** Adds the guid of the last search, whose free slot is known. */
  addFound(
    hash: number,
    session: number,
    channelId: number,
    source: DataView,
    start: number,
    end: number,
    ms: number,
  ): void {
    const offset = this.#used;
    this.add(session, channelId, source, start, end, ms);
    const slots = must(this.#slots, 'the table is made by the search before this');
    const slot = this.#freeSlot;
    slots[slot * 2] = hash;
    slots[slot * 2 + 1] = offset + 1;
    this.#indexed = this.#used;
  }

  /** A copy with room for more guids. */
  grown(capacity: number): GuidGeneration {
    const larger = new GuidGeneration(capacity, this.#seed);
    larger.firstMs = this.firstMs;
    larger.count = this.count;
    this.#bytes.copy(larger.#bytes, 0, 0, this.#used);
    larger.#used = this.#used;
    larger.#marks.push(...this.#marks);
    larger.#nextMarkCount = this.#nextMarkCount;
    larger.#nextMarkMs = this.#nextMarkMs;
    const slots = this.#slots;
    if (slots === undefined) return larger;
    const target = larger.#table();
    for (let i = 0; i < slots.length; i += SLOT_WORDS) {
      if (slots[i + 1] !== 0) larger.#insert(target, slots[i], slots[i + 1] - 1);
    }
    larger.#indexed = this.#indexed;
    return larger;
  }

  clear(): void {
    this.count = 0;
    this.#used = 0;
    this.#marks.length = 0;
    this.#nextMarkCount = 0;
    this.#indexed = 0;
    this.#slots?.fill(0);
  }

  /** The newest entries, oldest first: `atMost` of them, or all from `sinceMs` on if these are fewer, and what else is in the oldest one's stretch. */
  runs(atMost: number, sinceMs: number): GuidRun[] {
    const runs: GuidRun[] = [];
    const marks = this.#marks;
    let end = this.#used;
    let endCount = this.count;
    for (let i = marks.length - 1; i >= 0; i--) {
      const mark = marks[i];
      // A stretch that began before may still have some of them.
      if (mark.ms + MARK_MS <= sinceMs || this.count - endCount >= atMost) {
        // The stretches before it come into no checkpoint any more either.
        for (let j = i; j >= 0 && marks[j].packed !== undefined; j--) marks[j].packed = undefined;
        break;
      }
      const run = mark.packed ?? packGuids(mark.ms, this.#bytes.subarray(mark.offset, end));
      // More entries come into the last one.
      if (i < marks.length - 1) mark.packed = run;
      runs.push(run);
      ({ offset: end, count: endCount } = mark);
    }
    return runs.reverse();
  }

  #mark(ms: number, offset: number): void {
    if (this.count === 0) this.firstMs = ms;
    this.#marks.push({ ms, count: this.count, offset, packed: undefined });
    this.#nextMarkCount = this.count + MARK_ENTRIES;
    this.#nextMarkMs = ms + MARK_MS;
  }

  #table(): Int32Array {
    this.#slots ??= new Int32Array(this.capacity * 2 * SLOT_WORDS);
    return this.#slots;
  }

  /** The table, with all entries in it. */
  #index(): Int32Array {
    const slots = this.#table();
    const view = this.#view;
    let at = this.#indexed;
    while (at < this.#used) {
      const start = at + GUID_HEADER_BYTES;
      const end = start + view.getUint8(at + 8);
      this.#insert(slots, hashOf(this.#seed, view.getInt32(at + 4, true), view, start, end), at);
      at = end;
    }
    assert(at === this.#used, 'the entries end where the last one does');
    this.#indexed = this.#used;
    return slots;
  }

  #insert(slots: Int32Array, hash: number, offset: number): void {
    const mask = this.#mask;
    let slot = hash & mask;
    while (slots[slot * 2 + 1] !== 0) slot = (slot + 1) & mask;
    slots[slot * 2] = hash;
    slots[slot * 2 + 1] = offset + 1;
  }

  #isAt(
    offset: number,
    session: number,
    channelId: number,
    source: DataView,
    start: number,
    end: number,
  ): boolean {
    const view = this.#view;
    if (view.getUint8(offset + 8) !== end - start || view.getInt32(offset + 4, true) !== (session | 0))
      return false;
    if (view.getInt32(offset, true) !== (channelId | 0)) return false;
    let at = offset + GUID_HEADER_BYTES;
    let i = start;
    for (; i + 4 <= end; i += 4, at += 4) {
      if (view.getInt32(at, true) !== source.getInt32(i, true)) return false;
    }
    for (; i < end; i++) if (view.getUint8(at++) !== source.getUint8(i)) return false;
    return true;
  }
}

export function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Hashes four bytes at a time. The guids of one publisher differ in the last few bytes, which must affect every bit of the hash. */
export function hashOf(seed: number, session: number, source: DataView, start: number, end: number): number {
  let hash = Math.imul(seed ^ session, 0x9e3779b1);
  hash ^= hash >>> 15;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    hash = Math.imul(hash ^ source.getInt32(i, true), 0x85ebca6b);
    hash ^= hash >>> 15;
  }
  for (; i < end; i++) hash = Math.imul(hash ^ source.getUint8(i), 0x01000193);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
