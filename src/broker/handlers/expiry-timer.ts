import type { TimerWheel, WheelTimer } from '../../clock/timer-wheel.js';
import type { Store } from '../../store/types/store.js';

/** Longest time between two looks: a new message may have an age limit that ends before all others. */
const MAX_WAIT_MS = 1_000;
const MIN_WAIT_MS = 10;

/** What the expiry of messages needs. */
export interface ExpiryNeeds {
  readonly wheel: Pick<TimerWheel, 'arm'>;
  readonly store: Pick<Store, 'expire' | 'expireInMs'>;
}

/** Drops messages that reach their age limit. */
export class ExpiryTimer implements WheelTimer {
  dueTick = -1;
  readonly #needs: ExpiryNeeds;

  constructor(needs: ExpiryNeeds) {
    this.#needs = needs;
  }

  start(): void {
    const { store, wheel } = this.#needs;
    wheel.arm(this, Math.min(Math.max(store.expireInMs(), MIN_WAIT_MS), MAX_WAIT_MS));
  }

  onTimer(): void {
    this.#needs.store.expire();
    this.start();
  }
}
