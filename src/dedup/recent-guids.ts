import { GUID_HEADER_BYTES, GuidGeneration, type GuidRun, hashOf, viewOf } from './guid-generation.js';
import { NewestGuid } from './newest-guid.js';

/** For so long a guid is remembered at least, ms, as long as the bound on their number allows. */
export const GUID_MEMORY_MS = 120_000;
/** So many guids are remembered at most. */
export const MAX_GUIDS = 262_144;
/** So many, and not many more, go into a checkpoint. What came later is in the journal behind it. */
export const MAX_CHECKPOINT_GUIDS = 65_536;
/** A longer guid is not kept, as in the message's record. */
const MAX_GUID_BYTES = 255;
const FIRST_CAPACITY = 1024;
const EMPTY: Buffer = Buffer.alloc(0);

/**
 * The guids that were stored not long ago, by publisher and channel: a message that comes again under its guid is told from a new one.
 * Compared byte by byte: taking one message for another would lose it.
 *
 * Two generations. The present one grows up to half of the bound; when that is full, or spans `GUID_MEMORY_MS`, it becomes
 * the one before, and the one before is forgotten. So between one and two of these times are remembered, and memory goes
 * back when less is published.
 *
 * A guid that is larger than all that its publisher has had is new without looking (see NewestGuid): looking is the dearest
 * part of a publish, since the tables are larger than the processor's caches.
 */
export class RecentGuids {
  #present: GuidGeneration;
  #before: GuidGeneration | undefined;
  #newestMs = 0;
  #fill: ((guids: RecentGuids) => void) | undefined;
  /** Of each publisher, since it was first seen; nothing that is remembered of it may be missing here. */
  readonly #newest = new Map<number, NewestGuid>();
  #lastSession = -1;
  #lastNewest: NewestGuid | undefined;
  /** Of what `has` last looked for; undefined if it was new without looking. */
  #hash: number | undefined;
  /** What was last looked into: reads of words through a view cost a third of those of bytes. */
  #source = EMPTY;
  #view = viewOf(EMPTY);
  readonly #seed: number;
  readonly #maxCapacity: number;

  /**
   * @param seed makes the order of slots unpredictable to whoever chooses the guids
   * @param maxGuids a power of 2
   */
  constructor(seed: number, maxGuids = MAX_GUIDS) {
    this.#seed = seed;
    this.#present = new GuidGeneration(FIRST_CAPACITY, seed);
    this.#maxCapacity = maxGuids / 2;
  }

  get size(): number {
    this.enter();
    return this.#present.count + (this.#before?.count ?? 0);
  }

  /** Whether a message with this guid was stored in this channel. */
  has(session: number, channelId: number, source: Buffer, start: number, end: number): boolean {
    if (this.#fill !== undefined) this.enter();
    if (source !== this.#source) {
      this.#source = source;
      this.#view = viewOf(source);
    }
    const view = this.#view;
    if (session !== this.#lastSession) {
      this.#lastSession = session;
      this.#lastNewest = this.#newest.get(session);
    }
    this.#hash = undefined;
    if (this.#lastNewest?.isBefore(view, start, end)) return false;
    const hash = hashOf(this.#seed, session, view, start, end);
    this.#hash = hash;
    if (this.#present.has(hash, session, channelId, view, start, end)) return true;
    return this.#before?.has(hash, session, channelId, view, start, end) ?? false;
  }

  /**
   * Remembers the guid that `has` has just denied.
   *
   * @param ms timestamp of its message, ms since 1970; it never goes back
   */
  add(session: number, channelId: number, start: number, end: number, ms: number): void {
    const size = end - start;
    if (size > MAX_GUID_BYTES) return;
    const view = this.#view;
    const hash = this.#hash;
    const present = this.#present;
    if (!present.hasRoom(size) || (ms - present.firstMs > GUID_MEMORY_MS && present.count > 0)) {
      this.#makeRoom(ms);
      if (hash !== undefined) this.#present.has(hash, session, channelId, view, start, end);
    }
    this.#newestMs = ms;
    if (hash === undefined) this.#present.add(session, channelId, view, start, end, ms);
    else this.#present.addFound(hash, session, channelId, view, start, end, ms);
    if (this.#lastNewest !== undefined) this.#lastNewest.note(view, start, end);
    else this.#begin(session, start, end);
  }

  /** Its connection is over, and its session never comes again. */
  forget(session: number): void {
    this.#newest.delete(session);
    if (session === this.#lastSession) this.#lastSession = -1;
  }

  /** Remembers a guid that recovery found in the store: its message is durable. */
  restore(session: number, channelId: number, source: Buffer, start: number, end: number, ms: number): void {
    if (!this.has(session, channelId, source, start, end)) this.add(session, channelId, start, end, ms);
  }

  /** What recovery has found is entered by `enter`, or when it is first needed: opening a store does not wait for it. */
  enterLater(fill: (guids: RecentGuids) => void): void {
    this.#fill = fill;
  }

  enter(): void {
    const fill = this.#fill;
    if (fill === undefined) return;
    this.#fill = undefined;
    fill(this);
    // Not to keep a whole journal.
    this.#source = EMPTY;
    this.#view = viewOf(EMPTY);
  }

  /** So many are about to be restored: growing step by step would take as long as entering them. */
  reserve(guids: number): void {
    if (this.#present.count > 0) return;
    let capacity = FIRST_CAPACITY;
    while (capacity < guids && capacity < this.#maxCapacity) capacity *= 2;
    this.#present = new GuidGeneration(capacity, this.#seed);
  }

  /** @throws RangeError if the entries are not whole */
  restoreRun({ ms, entries }: GuidRun): void {
    const view = viewOf(entries);
    for (let at = 0; at < entries.length; ) {
      if (at + GUID_HEADER_BYTES > entries.length) throw new RangeError('the guids end in the middle of one');
      const start = at + GUID_HEADER_BYTES;
      const end = start + (entries[at + 8] ?? 0);
      if (end > entries.length) throw new RangeError('the guids end in the middle of one');
      this.restore(view.getUint32(at + 4, true), view.getUint32(at, true), entries, start, end, ms);
      at = end;
    }
  }

  /** What a checkpoint should keep, oldest first. Valid until a guid is added. */
  runs(): GuidRun[] {
    this.enter();
    const sinceMs = this.#newestMs - GUID_MEMORY_MS;
    const runs = this.#present.runs(MAX_CHECKPOINT_GUIDS, sinceMs);
    const left = MAX_CHECKPOINT_GUIDS - this.#present.count;
    return left > 0 && this.#before !== undefined ? [...this.#before.runs(left, sinceMs), ...runs] : runs;
  }

  /** With the first guid of a publisher: its prefix is the one that counts. */
  #begin(session: number, start: number, end: number): void {
    const newest = NewestGuid.of(this.#view, start, end);
    if (newest === undefined) return;
    this.#newest.set(session, newest);
    this.#lastNewest = newest;
  }

  #makeRoom(ms: number): void {
    const present = this.#present;
    const isOld = ms - present.firstMs > GUID_MEMORY_MS;
    if (!isOld && present.capacity < this.#maxCapacity) {
      this.#present = present.grown(Math.min(present.capacity * 4, this.#maxCapacity));
      return;
    }
    const before = this.#before;
    this.#before = present;
    if (!isOld && before?.capacity === present.capacity) {
      before.clear();
      this.#present = before;
    } else {
      this.#present = new GuidGeneration(isOld ? FIRST_CAPACITY : present.capacity, this.#seed);
    }
  }
}
