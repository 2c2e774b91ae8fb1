import type { Clock, Timer } from '../../src/clock/clock.js';
import type { World } from './world.js';

/** In 2027: stores of former versions, which are older, are opened too. */
const WALL_START_NS = 1_800_000_000_000_000_000n;

/** How a process stands still: its clocks go on (SIGSTOP), or stand still with it (a frozen virtual machine). */
export type PauseKind = 'stopped' | 'frozen';

/**
 * A process: what comes to it while it is paused waits, in order; when it is dead nothing comes any more. Its clocks are its
 * own: they go faster or slower than the world's, and may stand still.
 */
export class SimProcess {
  readonly clock: Clock;
  readonly world: World;
  readonly name: string;
  isDead = false;
  /** Called at what may be the last thing that the process does for a while. */
  strike: (at: string) => void = () => {};
  /** Names what it does at the moment: who is active tells one term from the next. */
  origin: () => string = () => this.name;
  #paused: PauseKind | undefined;
  #pausedAtMs = 0;
  #frozenMs = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #bootMs: number;
  readonly #rate: number;
  /** The wall clock is off by so much. */
  wallSkewMs: number;

  constructor(world: World, name: string, clocks: { rate: number; wallSkewMs: number }) {
    this.world = world;
    this.name = name;
    this.#rate = clocks.rate;
    this.wallSkewMs = clocks.wallSkewMs;
    this.#bootMs = world.between(0, 1_000_000);
    this.clock = {
      monotonicMs: () => this.#monotonicMs(),
      wallNs: () => WALL_START_NS + BigInt(Math.round((world.nowMs + this.wallSkewMs) * 1e6)),
      setTimer: (delayMs, callback) => this.#setTimer(delayMs, callback),
    };
  }

  get isPaused(): boolean {
    return this.#paused !== undefined;
  }

  /** Something comes to the process, now. */
  deliver(run: () => void): void {
    if (this.isDead) return;
    if (this.#paused !== undefined) {
      this.#waiting.push(run);
      return;
    }
    this.world.current = this;
    run();
  }

  /** Something will come to it. */
  after(delayMs: number, run: () => void): void {
    this.world.after(delayMs, () => this.deliver(run));
  }

  pauseNow(kind: PauseKind): void {
    if (this.isDead || this.#paused !== undefined) return;
    this.#paused = kind;
    this.#pausedAtMs = this.world.nowMs;
  }

  resume(): void {
    if (this.#paused === undefined) return;
    if (this.#paused === 'frozen') this.#frozenMs += this.world.nowMs - this.#pausedAtMs;
    this.#paused = undefined;
    for (const run of this.#waiting.splice(0)) this.after(0, run);
  }

  kill(): void {
    this.isDead = true;
    this.#waiting.length = 0;
  }

  #monotonicMs(): number {
    const now = this.#paused === 'frozen' ? this.#pausedAtMs : this.world.nowMs;
    return (now - this.#frozenMs) * this.#rate + this.#bootMs;
  }

  #setTimer(delayMs: number, callback: () => void): Timer {
    // As in Node: whole milliseconds, rounded down, and at least one.
    const waitMs = Math.max(1, Math.trunc(delayMs));
    const dueMs = this.#monotonicMs() + waitMs;
    let isOver = false;
    const look = (): void => {
      if (isOver) return;
      const leftMs = dueMs - this.#monotonicMs();
      // It was frozen meanwhile.
      if (leftMs > 0.001) {
        this.after(leftMs / this.#rate, look);
        return;
      }
      isOver = true;
      callback();
    };
    this.after(waitMs / this.#rate, look);
    return {
      cancel: () => {
        isOver = true;
      },
    };
  }
}
