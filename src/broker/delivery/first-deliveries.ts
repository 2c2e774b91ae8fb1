import { type BelievedTime, nanoseconds } from '../../clock/believed-time.js';
import type { Clock } from '../../clock/clock.js';
import type { Histogram } from '../../measures/histogram.js';
import { readMsgProtoTimestampNs } from '../../protocol/msgproto.js';
import type { MessageRef } from '../../store/types/store.js';
import type { Channel } from '../state/channel.js';

/** One in so many first deliveries is measured, and stands for all messages that went out by it. */
const MEASURED_ONE_IN = 8;

/** What the measure needs. */
export interface FirstDeliveriesNeeds {
  readonly clock: Clock;
  /** The store's: its messages bear it. */
  readonly believed: BelievedTime;
  /** See `Measures`. */
  readonly latency: Histogram;
}

/** Measures how long messages wait until they go out for the first time. */
export class FirstDeliveries {
  readonly #needs: FirstDeliveriesNeeds;
  readonly #ref: MessageRef = { buffer: Buffer.alloc(0), start: 0, end: 0 };
  #count = 0;

  constructor(needs: FirstDeliveriesNeeds) {
    this.#needs = needs;
  }

  /** Messages up to `sequence` have gone out. The wait of those that had not before is that of the last one. */
  note({ log, wait }: Channel, sequence: number): void {
    const messages = sequence - wait.deliveredThrough;
    if (messages <= 0) return;
    wait.deliveredThrough = sequence;
    if (this.#count++ % MEASURED_ONE_IN !== 0) return;
    const ref = this.#ref;
    if (!log.find(sequence, ref)) return;
    const { clock, believed, latency } = this.#needs;
    // What the clock is not believed is not in messages either.
    const nowNs = clock.wallNs() - nanoseconds(believed.doubtMs);
    const waitNs = nowNs - readMsgProtoTimestampNs(ref.buffer, ref.start, ref.end);
    // The time in messages never goes back, the wall clock may.
    latency.observe(Math.max(0, Number(waitNs)) / 1e9, messages);
  }

  /** Messages that nothing subscribes to do not wait. */
  pass({ visible, wait }: Channel): void {
    wait.deliveredThrough = visible;
  }
}
