import { BYTE_BOUNDS, COUNT_BOUNDS, DURATION_BOUNDS, Histogram } from './histogram.js';
import type { RecoveryReport } from './recovery-report.js';

/** Messages that limits of channels have dropped, by the limit. Plain numbers on the hot path. */
export class Drops {
  messages = 0;
  bytes = 0;
  age = 0;
}

/**
 * What is measured on the way, of one process: terms come and go, these go on. Durations are in seconds. Written by the parts
 * concerned, and read when somebody asks.
 */
export class Measures {
  /** From the moment the broker took the first message of a batch to the acks of that batch, once for each of its messages. */
  readonly publishAck = new Histogram(DURATION_BOUNDS);
  /** From the time in a message to its first delivery: of a part of the deliveries, once for each of their messages. */
  readonly delivery = new Histogram(DURATION_BOUNDS);
  readonly journalWrite = new Histogram(DURATION_BOUNDS);
  readonly journalBatchBytes = new Histogram(BYTE_BOUNDS);
  readonly journalBatchMessages = new Histogram(COUNT_BOUNDS);
  /** From the end of a sync to its confirmation by the lease. */
  readonly fence = new Histogram(DURATION_BOUNDS);
  /** One change of the lease's name, in whichever thread. */
  readonly leaseRenewal = new Histogram(DURATION_BOUNDS);
  readonly checkpoint = new Histogram(DURATION_BOUNDS);
  readonly drops = new Drops();
  /** What opening the file store took last; undefined if it was not opened. */
  recovery: RecoveryReport | undefined;
}
