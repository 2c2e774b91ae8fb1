/*
 * A guid as a generation keeps it, and as a checkpoint has it:
 *
 *   0  u32  batch that stored the message, low half; of use to the process that wrote it only
 *   4  u32  session of the publisher
 *   8  u8   length of the guid
 *   9       guid
 */
export const GUID_HEADER_BYTES = 9;
/** Room per guid, on average: a NUID, which all clients use, has 22 bytes. */
const ENTRY_BYTES = GUID_HEADER_BYTES + 23;
/** Two u32: hash, and offset of the entry plus 1; 0 if free. */
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
 * Guids in the order in which they came, found by session and bytes: entries in one buffer, and a hash table of where they
 * lie. Open addressing, linear probing, at most half full. Nothing is ever taken out.
 */
export class GuidGeneration {
  /** Timestamp of the first entry, ms since 1970. */
  firstMs = 0;
  count = 0;
  readonly capacity: number;
  #bytes: Buffer;
  #used = 0;
  readonly #slots: Uint32Array;
  readonly #mask: number;
  /** Where stretches begin: timestamp of their first entry, and offset. */
  readonly #marks: { ms: number; count: number; offset: number }[] = [];

  /** @param capacity entries, a power of 2 */
  constructor(capacity: number) {
    this.capacity = capacity;
    this.#bytes = Buffer.allocUnsafeSlow(capacity * ENTRY_BYTES);
    this.#slots = new Uint32Array(capacity * 2 * SLOT_WORDS);
    this.#mask = capacity * 2 - 1;
  }

  hasRoom(guidBytes: number): boolean {
    return this.count < this.capacity && this.#used + GUID_HEADER_BYTES + guidBytes <= this.#bytes.length;
  }

  /** @returns the batch it came in; -1 if it is not here */
  find(hash: number, session: number, source: Buffer, start: number, end: number): number {
    const slots = this.#slots;
    const mask = this.#mask;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const place = slots[slot * 2 + 1]!;
      if (place === 0) return -1;
      if (slots[slot * 2] === hash && this.#isAt(place - 1, session, source, start, end)) {
        return readU32(this.#bytes, place - 1);
      }
    }
  }

  /** There must be room. */
  add(
    hash: number,
    session: number,
    source: Buffer,
    start: number,
    end: number,
    batch: number,
    ms: number,
  ): void {
    const offset = this.#used;
    this.#mark(ms, offset);
    const bytes = this.#bytes;
    writeU32(bytes, offset, batch);
    writeU32(bytes, offset + 4, session);
    bytes[offset + 8] = end - start;
    let at = offset + GUID_HEADER_BYTES;
    for (let i = start; i < end; i++) bytes[at++] = source[i]!;
    this.#used = at;
    this.count++;
    this.#insert(hash, offset);
  }

  /** The same guids with room for more. */
  grown(capacity: number): GuidGeneration {
    const larger = new GuidGeneration(capacity);
    larger.firstMs = this.firstMs;
    larger.count = this.count;
    this.#bytes.copy(larger.#bytes, 0, 0, this.#used);
    larger.#used = this.#used;
    larger.#marks.push(...this.#marks);
    const slots = this.#slots;
    for (let i = 0; i < slots.length; i += SLOT_WORDS) {
      if (slots[i + 1] !== 0) larger.#insert(slots[i]!, slots[i + 1]! - 1);
    }
    return larger;
  }

  clear(): void {
    this.count = 0;
    this.#used = 0;
    this.#marks.length = 0;
    this.#slots.fill(0);
  }

  /** Copies of the newest entries: those from `sinceMs` on, and not many more than `atMost`. Oldest first. */
  runs(atMost: number, sinceMs: number): GuidRun[] {
    const runs: GuidRun[] = [];
    let end = this.#used;
    for (let i = this.#marks.length - 1; i >= 0; i--) {
      const { ms, count, offset } = this.#marks[i]!;
      if (ms < sinceMs || this.count - count > atMost) break;
      runs.push({ ms, entries: Buffer.from(this.#bytes.subarray(offset, end)) });
      end = offset;
    }
    return runs.reverse();
  }

  #mark(ms: number, offset: number): void {
    const last = this.#marks.at(-1);
    if (last === undefined) this.firstMs = ms;
    else if (this.count - last.count < MARK_ENTRIES && ms - last.ms < MARK_MS) return;
    this.#marks.push({ ms, count: this.count, offset });
  }

  #insert(hash: number, offset: number): void {
    const slots = this.#slots;
    const mask = this.#mask;
    let slot = hash & mask;
    while (slots[slot * 2 + 1] !== 0) slot = (slot + 1) & mask;
    slots[slot * 2] = hash;
    slots[slot * 2 + 1] = offset + 1;
  }

  #isAt(offset: number, session: number, source: Buffer, start: number, end: number): boolean {
    const bytes = this.#bytes;
    if (bytes[offset + 8] !== end - start || readU32(bytes, offset + 4) !== session) return false;
    let at = offset + GUID_HEADER_BYTES;
    for (let i = start; i < end; i++) if (bytes[at++] !== source[i]) return false;
    return true;
  }
}

export function readU32(bytes: Buffer, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

function writeU32(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}
