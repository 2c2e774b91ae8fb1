import type { Clock } from '../../clock/clock.js';
import type { ChannelLog, Store } from '../../store/types/store.js';
import { SLICE_MS } from '../../util/turns.js';
import type { Turn } from '../delivery/turn.js';

/** Limit of the requests that wait. Those beyond it get no answer: clients ask again. */
const MAX_WAITING = 10_000;

export interface AfterExpiryNeeds {
  readonly turn: Pick<Turn, 'resume'>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly store: Pick<Store, 'commit'>;
  /** Runs a callback soon, after I/O that is due. */
  readonly defer: (callback: () => void) => void;
}

interface Waiting {
  readonly log: Pick<ChannelLog, 'expire'>;
  readonly work: () => void;
}

/**
 * Work that sees limits by age exactly: it begins when all messages of its channel that have expired are dropped. After an outage these may
 * be millions, which go in slices.
 */
export class AfterExpiry {
  readonly #needs: AfterExpiryNeeds;
  readonly #waiting: Waiting[] = [];

  constructor(needs: AfterExpiryNeeds) {
    this.#needs = needs;
  }

  /** Does the work at once if little has expired, and in a turn of its own if it has to wait. */
  run(log: Waiting['log'], work: () => void): void {
    if (log.expire()) work();
    else if (this.#waiting.length < MAX_WAITING) {
      this.#waiting.push({ log, work });
      if (this.#waiting.length === 1) this.#needs.defer(this.#slice);
    }
  }

  readonly #slice = (): void => {
    const { turn, clock, store, defer } = this.#needs;
    turn.resume(() => {
      const endMs = clock.monotonicMs() + SLICE_MS;
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        if (next.log.expire()) next.work();
        // The channels take turns: one with much to drop does not hold up the others.
        else this.#waiting.push(next);
        if (clock.monotonicMs() >= endMs) break;
      }
      store.commit();
      if (this.#waiting.length > 0) defer(this.#slice);
    });
  };
}
