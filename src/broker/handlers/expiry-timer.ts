import type { WheelTimer } from '../../clock/timer-wheel.js';
import type { BrokerContext } from './context.js';

/** Longest time between two looks: a new message may have an age limit that ends before all others. */
const MAX_WAIT_MS = 1_000;
const MIN_WAIT_MS = 10;

/** Drops messages that reach their age limit. */
export class ExpiryTimer implements WheelTimer {
  dueTick = -1;
  readonly #context: BrokerContext;

  constructor(context: BrokerContext) {
    this.#context = context;
  }

  start(): void {
    const { store, wheel } = this.#context;
    wheel.arm(this, Math.min(Math.max(store.expireInMs(), MIN_WAIT_MS), MAX_WAIT_MS));
  }

  onTimer(): void {
    this.#context.store.expire();
    this.start();
  }
}
