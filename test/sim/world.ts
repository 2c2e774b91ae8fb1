import { SeededRandom } from '../broker/model-random.js';
import type { SimProcess } from './process.js';

/** Many times what a run takes: something goes round and round. */
const MAX_EVENTS = 5_000_000;

interface Event {
  atMs: number;
  order: number;
  run: () => void;
}

/**
 * The time and the chance of one simulated run: everything that happens is an event here, one after the other, so that a
 * seed gives the same run each time. Between two events all promises that can be settled are.
 */
export class World {
  nowMs = 0;
  /** Whose code runs. */
  current: SimProcess | undefined;
  readonly random: SeededRandom;
  readonly trace: string[] = [];
  readonly isTraced: boolean;
  /** What went wrong in this run, and how often. */
  readonly faults: Record<string, number> = {};
  eventCount = 0;
  /** Nothing happens any more. */
  isOver: () => boolean = () => false;
  #order = 0;
  #names = 0;
  /** A heap, earliest first. */
  readonly #events: Event[] = [];

  constructor(seed: number, isTraced = false) {
    this.random = new SeededRandom(seed);
    this.isTraced = isTraced;
  }

  /** From `min` to below `max`, with three digits behind the point. */
  between(min: number, max: number): number {
    return min + this.random.below(Math.max(1, Math.round((max - min) * 1000))) / 1000;
  }

  chance(probability: number): boolean {
    return this.random.below(1_000_000) < probability * 1_000_000;
  }

  /** Bytes for a name that is given once: they take nothing from the run's chance. */
  nameBytes(size: number): Buffer {
    const bytes = Buffer.alloc(size);
    bytes.writeUInt32BE(++this.#names, 0);
    return bytes;
  }

  /** A fault has happened. */
  count(fault: string): void {
    this.faults[fault] = (this.faults[fault] ?? 0) + 1;
  }

  note(text: () => string): void {
    if (this.isTraced) this.trace.push(`${this.nowMs.toFixed(3).padStart(10)}  ${text()}`);
  }

  /** Runs `run` in `delayMs`; of two for the same time the one that was asked for first. */
  after(delayMs: number, run: () => void): void {
    this.#push({ atMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, run });
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** Lets the events happen, up to `untilMs` or until `isDone`. */
  async run(untilMs: number, isDone: () => boolean = () => false): Promise<void> {
    await settled();
    while (!this.isOver()) {
      const next = this.#events[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#pop();
      this.nowMs = next.atMs;
      if (++this.eventCount > MAX_EVENTS) throw new Error(`no end: ${MAX_EVENTS} events by ${this.nowMs} ms`);
      next.run();
      await settled();
      if (isDone() || this.isOver()) return;
    }
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  #push(event: Event): void {
    const events = this.#events;
    let at = events.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (isEarlier(events[parent]!, event)) break;
      events[at] = events[parent]!;
      at = parent;
    }
    events[at] = event;
  }

  #pop(): void {
    const events = this.#events;
    const last = events.pop()!;
    if (events.length === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= events.length) break;
      if (child + 1 < events.length && isEarlier(events[child + 1]!, events[child]!)) child++;
      if (isEarlier(last, events[child]!)) break;
      events[at] = events[child]!;
      at = child;
    }
    events[at] = last;
  }
}

function isEarlier(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** No macrotask of the code under test is left out of the world, so after one turn all its promises rest. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
