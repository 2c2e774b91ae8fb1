// How a rehearsal gives way: `Pace`.

import { cpus } from 'node:os';

/** Work in one round of the event loop. A message to this process waits for no more than that. */
const SLICE_MS = 3;
/** A pause follows this much work. */
const WORK_MS = 10;
/** The machine counts as busy while others take more than this share of its processors. */
const BUSY_SHARE = 0.6;
/** The machine counts in hundredths of a second: a shorter look says nothing. */
const LOOK_MS = 100;

/** The processors' time since the machine has started, and what this process had of it, in milliseconds. */
export interface MachineTimes {
  readonly atMs: number;
  readonly totalMs: number;
  readonly idleMs: number;
  readonly ownMs: number;
}

export function machineTimes(): MachineTimes {
  let totalMs = 0;
  let idleMs = 0;
  for (const { times } of cpus()) {
    totalMs += times.user + times.nice + times.sys + times.idle + times.irq;
    idleMs += times.idle;
  }
  const { user, system } = process.cpuUsage();
  return { atMs: performance.now(), totalMs, idleMs, ownMs: (user + system) / 1e3 };
}

export interface PaceOptions {
  /** Least pause after `WORK_MS` of work: it bounds the share of a processor. */
  readonly pauseMs: number;
  /** Default: this machine. */
  readonly machine?: () => MachineTimes;
  /** Where the first look begins. Default: now. */
  readonly since?: MachineTimes;
  /** Whether the process has nothing better to do. */
  readonly isIdle: () => boolean;
}

/** Lets a rehearsal run in slices, between which the event loop does everything else, and not while the machine is busy. */
export class Pace {
  readonly #options: Required<Omit<PaceOptions, 'since'>>;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  #last: MachineTimes;
  /** Nothing is known at first. */
  #isBusy = true;
  #sliceEndMs = 0;
  #pausedMs = performance.now();

  constructor(options: PaceOptions) {
    const { machine = machineTimes, since = machine() } = options;
    this.#options = { ...options, machine };
    this.#last = since;
  }

  /** Nothing waits any more, for ever. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** Whether it is time to `giveWay`. */
  get isOver(): boolean {
    return performance.now() >= this.#sliceEndMs;
  }

  /** Waits for a moment in which there is time. It never comes after `stop`. */
  async giveWay(): Promise<void> {
    const { pauseMs, isIdle } = this.#options;
    this.#look();
    if (performance.now() - this.#pausedMs < WORK_MS && !this.#isBusy) await this.round();
    else await this.#pause(this.#isBusy ? LOOK_MS : pauseMs);
    for (this.#look(); this.#isBusy || !isIdle(); this.#look()) await this.#pause(LOOK_MS);
    this.#sliceEndMs = performance.now() + SLICE_MS;
  }

  #look(): void {
    if (performance.now() - this.#last.atMs < LOOK_MS) return;
    const now = this.#options.machine();
    const total = now.totalMs - this.#last.totalMs;
    const others = total - (now.idleMs - this.#last.idleMs) - (now.ownMs - this.#last.ownMs);
    this.#isBusy = total <= 0 || others / total > BUSY_SHARE;
    this.#last = now;
  }

  /** Waits for the next round of the event loop. */
  round(): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(() => {
        if (!this.#isStopped) resolve();
      });
    });
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isStopped) return;
      this.#timer = setTimeout(() => {
        if (this.#isStopped) return;
        this.#pausedMs = performance.now();
        resolve();
      }, ms).unref();
    });
  }
}
