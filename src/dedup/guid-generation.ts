/*
 * A guid as a generation keeps it, and as a checkpoint has it:
 *
 *   0  u32  id of the channel that the message is in
 *   4  u32  session of the publisher
 *   8  u8   length of the guid
 *   9       guid
 */
export const GUID_HEADER_BYTES = 9;
/** Room per guid, on average: a NUID, which all clients use, has 22 bytes. */
export const GUID_ENTRY_BYTES = GUID_HEADER_BYTES + 23;
/** No channel has this id: for one that is not there yet. */
export const NO_CHANNEL = 0;
/** Two i32: hash, and offset of the entry plus 1; 0 if free. (Signed: larger numbers would be objects on the heap.) */
const SLOT_WORDS = 2;
/** A mark is set after this many entries, or this much time. */
const MARK_ENTRIES = 1024;
const MARK_MS = 1000;

/** Guids of one stretch of time, as they are kept. */
export interface GuidRun {
  /** Timestamp of the first, ms since 1970. */
  ms: number;
  /** Entries, one behind the other. */
  entries: Buffer;
}

/**
 * Guids in the order in which they came, found by session, channel and bytes: entries in one buffer, and a hash table of where they
 * lie. Open addressing, linear probing, at most half full. Nothing is ever taken out.
 *
 * The table is brought up to date when somebody looks: it lies all over memory, and most guids are never looked for.
 */
export class GuidGeneration {
  /** Timestamp of the first entry, ms since 1970. */
  firstMs = 0;
  count = 0;
  readonly capacity: number;
  readonly #bytes: Buffer;
  readonly #view: DataView;
  #used = 0;
  readonly #seed: number;
  #slots: Int32Array | undefined;
  readonly #mask: number;
  /** Entries before it are in the table. */
  #indexed = 0;
  /** The next mark comes with this entry, or at this time. */
  #nextMarkCount = 0;
  #nextMarkMs = 0;
  /** Where the search ended that found nothing. */
  #freeSlot = 0;
  /** Where stretches begin: timestamp of their first entry, and offset. */
  readonly #marks: { ms: number; count: number; offset: number }[] = [];

  /**
   * @param capacity entries, a power of 2
   * @param seed of the hash
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
      const place = slots[slot * 2 + 1]!;
      if (place === 0) {
        this.#freeSlot = slot;
        return false;
      }
      if (slots[slot * 2] === hash && this.#isAt(place - 1, session, channelId, source, start, end))
        return true;
    }
  }

  /** It is not here, and there is room. */
  add(session: number, channelId: number, source: DataView, start: number, end: number, ms: number): void {
    const offset = this.#used;
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

  /** The same where the last search was for this guid, which spares looking for its place. */
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
    const slots = this.#slots!;
    const slot = this.#freeSlot;
    slots[slot * 2] = hash;
    slots[slot * 2 + 1] = offset + 1;
    this.#indexed = this.#used;
  }

  /** The same guids with room for more. */
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
      if (slots[i + 1] !== 0) larger.#insert(target, slots[i]!, slots[i + 1]! - 1);
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

  /** The newest entries: those from `sinceMs` on, and not many more than `atMost`. Oldest first, valid until one is added. */
  runs(atMost: number, sinceMs: number): GuidRun[] {
    const runs: GuidRun[] = [];
    let end = this.#used;
    for (let i = this.#marks.length - 1; i >= 0; i--) {
      const { ms, count, offset } = this.#marks[i]!;
      if (ms < sinceMs || this.count - count > atMost) break;
      runs.push({ ms, entries: this.#bytes.subarray(offset, end) });
      end = offset;
    }
    return runs.reverse();
  }

  #mark(ms: number, offset: number): void {
    if (this.count === 0) this.firstMs = ms;
    this.#marks.push({ ms, count: this.count, offset });
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
    for (let at = this.#indexed; at < this.#used; ) {
      const start = at + GUID_HEADER_BYTES;
      const end = start + view.getUint8(at + 8);
      this.#insert(slots, hashOf(this.#seed, view.getInt32(at + 4, true), view, start, end), at);
      at = end;
    }
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

/** Four bytes at a time: guids of one publisher differ in the last few, and every bit of the hash must show it. */
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
