import { assert, must } from '../util/assert.js';
import { SLICE_MS } from '../util/turns.js';
import type { Clock, Timer } from './clock.js';

/** A timer of the wheel. Its owner arms the same object again and again, so that arming allocates nothing. */
export interface WheelTimer {
  /** The tick at which it is due; -1 if it is not armed. The wheel sets it. */
  dueTick: number;
  /** Called once when due. It may arm itself again. */
  onTimer(nowMs: number): void;
}

/**
 * Runs all timers of the broker on one real timer: ack waits, heartbeats, inactivity. It is coarse on purpose: a timer fires at its
 * time or up to one tick (`tickMs`) later, never earlier. If so many are due at once that they take longer than a slice, messages have
 * their turn in between, and the rest fires later.
 */
export class TimerWheel {
  readonly #slots: Set<WheelTimer>[] = Array.from({ length: SLOTS }, () => new Set());
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #originMs: number;
  #doneTick = 0;
  #count = 0;
  /** Timers that are due and have not had their turn, in their order. Some may have been disarmed or moved since. */
  #due: WheelTimer[] = [];
  /** Where the next one is in that list. */
  #nextDue = 0;
  #real: Timer | undefined;
  #realTick = Number.POSITIVE_INFINITY;
  #isStopped = false;

  constructor(clock: Clock, tickMs = 10) {
    this.#clock = clock;
    this.#tickMs = tickMs;
    this.#originMs = clock.monotonicMs();
  }

  /** Arms or moves a timer. A delay below zero counts as zero. */
  arm(timer: WheelTimer, delayMs: number): void {
    this.disarm(timer);
    if (this.#isStopped) return;
    const elapsedMs = this.#clock.monotonicMs() - this.#originMs;
    if (this.#count === 0) this.#doneTick = Math.floor(elapsedMs / this.#tickMs);
    const due = Math.max(Math.ceil((elapsedMs + Math.max(0, delayMs)) / this.#tickMs), this.#doneTick + 1);
    timer.dueTick = due;
    this.#slots[due % SLOTS].add(timer);
    this.#count++;
    if (due < this.#realTick) this.#sleepUntil(due);
  }

  disarm(timer: WheelTimer): void {
    if (timer.dueTick < 0) return;
    const wasHere = this.#slots[timer.dueTick % SLOTS].delete(timer);
    assert(wasHere, 'a timer that is armed is in its slot of this wheel');
    timer.dueTick = -1;
    this.#count--;
  }

  /** Disarms all timers for good. */
  stop(): void {
    this.#isStopped = true;
    for (const slot of this.#slots) {
      for (const timer of slot) timer.dueTick = -1;
      slot.clear();
    }
    this.#count = 0;
    this.#due.length = this.#nextDue = 0;
    this.#real?.cancel();
    this.#real = undefined;
    this.#realTick = Number.POSITIVE_INFINITY;
  }

  #sleepUntil(tick: number): void {
    this.#real?.cancel();
    this.#realTick = tick;
    const delayMs = this.#originMs + tick * this.#tickMs - this.#clock.monotonicMs();
    this.#real = this.#clock.setTimer(Math.min(Math.max(0, delayMs), MAX_SLEEP_MS), () => this.#turn());
  }

  #turn(): void {
    this.#real = undefined;
    this.#realTick = Number.POSITIVE_INFINITY;
    const nowMs = this.#clock.monotonicMs();
    const nowTick = Math.floor((nowMs - this.#originMs) / this.#tickMs);
    this.#collectDue(nowTick);
    const sliceEndMs = nowMs + SLICE_MS;
    while (this.#nextDue < this.#due.length) {
      const timer = must(this.#due[this.#nextDue++], 'the list of due timers has no holes');
      // It may have been disarmed or moved since it became due.
      if (timer.dueTick < 0 || timer.dueTick > nowTick) continue;
      this.disarm(timer);
      timer.onTimer(nowMs);
      if (this.#clock.monotonicMs() >= sliceEndMs) break;
    }
    if (this.#nextDue < this.#due.length) this.#sleepUntil(nowTick);
    else {
      this.#due.length = this.#nextDue = 0;
      this.#sleepUntilNext();
    }
  }

  #collectDue(nowTick: number): void {
    // After a long pause each slot is visited only once, however many ticks were missed.
    const from = Math.max(this.#doneTick + 1, nowTick - SLOTS + 1);
    const due: WheelTimer[] = [];
    for (let tick = from; tick <= nowTick; tick++) {
      for (const timer of this.#slots[tick % SLOTS]) if (timer.dueTick <= nowTick) due.push(timer);
    }
    this.#doneTick = Math.max(this.#doneTick, nowTick);
    due.sort((a, b) => a.dueTick - b.dueTick);
    if (this.#due.length === 0) this.#due = due;
    else for (const timer of due) this.#due.push(timer);
    // Under a load that lasts there is always one that waits.
    if (this.#nextDue < MIN_DONE || this.#nextDue * 2 < this.#due.length) return;
    this.#due = this.#due.slice(this.#nextDue);
    this.#nextDue = 0;
  }

  #sleepUntilNext(): void {
    if (this.#count === 0) return;
    for (let ahead = 1; ahead <= SLOTS; ahead++) {
      const tick = this.#doneTick + ahead;
      if (this.#slots[tick % SLOTS].size === 0) continue;
      if (tick < this.#realTick) this.#sleepUntil(tick);
      return;
    }
  }
}

const SLOTS = 1024;
const MAX_SLEEP_MS = 60_000;
/** So many that have had their turn are worth a copy of the list without them. */
const MIN_DONE = 256;
