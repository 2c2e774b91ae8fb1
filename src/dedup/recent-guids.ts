import { assert } from '../util/assert.js';
import { GUID_HEADER_BYTES } from './guid-entry.js';
import { GuidGeneration, hashOf, viewOf } from './guid-generation.js';
import { NewestGuid } from './newest-guid.js';
import { type GuidRun, unpackGuids } from './packed-guids.js';

/** Least time for which a guid is remembered, unless `MAX_GUIDS` forbids it. */
export const GUID_MEMORY_MS = 120_000;
/** Limit of remembered guids. */
export const MAX_GUIDS = 262_144;
/** Guids in a checkpoint, and a few more. Later guids are in the journal behind it. */
export const MAX_CHECKPOINT_GUIDS = 65_536;
/** A longer guid is not kept, here as in the message's record. */
const MAX_GUID_BYTES = 255;
const FIRST_CAPACITY = 1024;
const EMPTY: Buffer = Buffer.alloc(0);

/**
 * The guids of recently stored messages, by publisher and channel, by which a repeated message is recognized. They are compared byte by
 * byte, since taking one message for another would lose it.
 *
 * There are two generations. When the present one has half of `maxGuids`, or spans `GUID_MEMORY_MS`, it becomes the generation before,
 * which is forgotten. So guids are remembered for one to two of these times, and memory shrinks when less is published.
 *
 * A guid that is larger than all of its publisher's is new without a search (see NewestGuid). A search is the most expensive part of a
 * publish, since the tables are larger than the processor's caches.
 */
export class RecentGuids {
  #present: GuidGeneration;
  #before: GuidGeneration | undefined;
  #newestMs = 0;
  #fill: ((guids: RecentGuids) => void) | undefined;
  /** The newest guid of each publisher. It must cover every remembered guid of the publisher. */
  readonly #newest = new Map<number, NewestGuid>();
  #lastSession = -1;
  #lastNewest: NewestGuid | undefined;
  /** The hash of the guid of the last `has`; undefined if the guid was new without a search. */
  #hash: number | undefined;
  /** `has` has found a guid to be new, and it has not been added since. */
  #isDenied = false;
  /** The last buffer. Its view is kept, since reading words through a view takes a third of the time of reading bytes. */
  #source = EMPTY;
  #view = viewOf(EMPTY);
  readonly #seed: number;
  readonly #maxCapacity: number;

  /**
   * @param seed makes the order of slots unpredictable for clients, which choose the guids
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
    this.#isDenied = true;
    if (this.#lastNewest?.isBefore(view, start, end)) return false;
    const hash = hashOf(this.#seed, session, view, start, end);
    this.#hash = hash;
    const isKnown =
      this.#present.has(hash, session, channelId, view, start, end) ||
      this.#before?.has(hash, session, channelId, view, start, end) === true;
    this.#isDenied = !isKnown;
    return isKnown;
  }

  /**
   * Remembers the guid for which `has` has just returned false.
   *
   * @param ms timestamp of its message, in milliseconds since 1970; it never goes back
   */
  add(session: number, channelId: number, start: number, end: number, ms: number): void {
    assert(
      this.#isDenied && session === this.#lastSession,
      'a guid is remembered once, when it was found to be new',
    );
    this.#isDenied = false;
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

  /** Forgets a publisher whose connection is over: its session never comes again. */
  forget(session: number): void {
    this.#newest.delete(session);
    if (session === this.#lastSession) this.#lastSession = -1;
  }

  /** Remembers a guid that recovery found in the store: its message is durable. */
  restore(session: number, channelId: number, source: Buffer, start: number, end: number, ms: number): void {
    if (!this.has(session, channelId, source, start, end)) this.add(session, channelId, start, end, ms);
  }

  /** Sets the guids that recovery has found. `enter` enters them, or the first use does, so that opening a store does not wait. */
  enterLater(fill: (guids: RecentGuids) => void): void {
    this.#fill = fill;
  }

  enter(): void {
    const fill = this.#fill;
    if (fill === undefined) return;
    this.#fill = undefined;
    fill(this);
    // The last buffer is let go: it may be a whole journal.
    this.#source = EMPTY;
    this.#view = viewOf(EMPTY);
  }

  /** Makes room for guids that are about to be restored: growing step by step would take as long as entering them. */
  reserve(guids: number): void {
    if (this.#present.count > 0) return;
    let capacity = FIRST_CAPACITY;
    while (capacity < guids && capacity < this.#maxCapacity) capacity *= 2;
    this.#present = new GuidGeneration(capacity, this.#seed);
  }

  /** Remembers the guids of a checkpoint. @throws RangeError if they are not whole */
  restoreRun(run: GuidRun): void {
    const entries = unpackGuids(run);
    const view = viewOf(entries);
    for (let at = 0; at < entries.length; ) {
      const start = at + GUID_HEADER_BYTES;
      const end = start + view.getUint8(at + 8);
      this.restore(view.getUint32(at + 4, true), view.getUint32(at, true), entries, start, end, run.ms);
      at = end;
    }
  }

  /** The guids for a checkpoint, oldest first. */
  runs(): GuidRun[] {
    this.enter();
    const sinceMs = this.#newestMs - GUID_MEMORY_MS;
    const runs = this.#present.runs(MAX_CHECKPOINT_GUIDS, sinceMs);
    const left = MAX_CHECKPOINT_GUIDS - this.#present.count;
    return left > 0 && this.#before !== undefined ? [...this.#before.runs(left, sinceMs), ...runs] : runs;
  }

  /** Begins with the first guid of a publisher, whose prefix is the one that counts. */
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
